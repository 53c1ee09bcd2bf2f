package chatroom

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxNameLen is the longest name, in bytes, that CheckName accepts.
	maxNameLen = 64

	// maxMarks is how many combining marks in a row it accepts, which some scripts need.
	maxMarks = 3

	zeroWidthJoiner = '\u200d'
	emojiStyle      = '\ufe0f' // a variation selector
	keycap          = '\u20e3'
)

// CheckName is the default name rule. It accepts names that look like what they are:
// valid UTF-8 of 1 to 64 bytes that neither begins nor ends with white space. It refuses
// characters that are not seen, or change how others are: control and format characters
// (such as those that turn the direction of writing), line and paragraph separators,
// variation selectors and other characters that Unicode lets a font ignore, blank ones
// that are no spaces, those for private use, those that package unicode does not know,
// and more than three combining marks in a row. What emoji are made of is accepted within
// emoji. Letters of different scripts that look alike are all accepted.
//
// The error says what is wrong, and does not repeat the name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("empty")
	case len(name) > maxNameLen:
		return fmt.Errorf("%d bytes, the limit is %d", len(name), maxNameLen)
	case !utf8.ValidString(name):
		return errors.New("not valid UTF-8")
	case strings.TrimSpace(name) != name:
		return errors.New("begins or ends with white space")
	}
	marks := 0
	var before rune // the last that is not a mark
	runes := []rune(name)
	for i, r := range runes {
		var next rune
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		switch {
		case r == zeroWidthJoiner && isEmoji(before) && isEmoji(next):
		case r == emojiStyle && (isEmoji(before) || next == keycap && isKey(before)):
		case unicode.IsControl(r):
			return fmt.Errorf("control character %q", r)
		case isUnseen(r):
			return fmt.Errorf("character %U is not seen", r)
		case !isKnown(r):
			return fmt.Errorf("character %U is not known", r)
		case unicode.IsMark(r):
			if marks++; marks > maxMarks {
				return fmt.Errorf("more than %d combining marks in a row", maxMarks)
			}
			continue
		default:
			before = r
		}
		marks = 0
	}
	return nil
}

// blanks are characters of Unicode's that fonts show as nothing, though they are neither
// spaces nor ignorable: the Braille pattern without dots, and the musical null notehead.
const blanks = "\u2800\U0001d159"

// isUnseen reports whether r is not seen, or changes how others are. The sets are those
// of the Unicode Character Database: Cf, Zl and Zp of UnicodeData.txt, and
// Other_Default_Ignorable_Code_Point and Variation_Selector of PropList.txt.
func isUnseen(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		strings.ContainsRune(blanks, r)
}

// isKnown reports whether Unicode has assigned r, and not to private use.
func isKnown(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
}

// otherEmoji are the characters that emoji-data.txt of the Unicode Character Database has
// as emoji although they are of other categories than So. Keys and skins are left out.
const otherEmoji = "\u203c\u2049\u2139\u2194\u25fb\u25fc\u25fd\u25fe\u2934\u2935\u3030\u303d"

// isEmoji reports whether r may be a part of an emoji: a symbol, or what changes the
// colour of a skin.
func isEmoji(r rune) bool {
	return unicode.Is(unicode.So, r) && r != unicode.ReplacementChar || r >= 0x1f3fb && r <= 0x1f3ff ||
		strings.ContainsRune(otherEmoji, r)
}

// isKey reports whether r is on a telephone, whose keys are emoji.
func isKey(r rune) bool { return r >= '0' && r <= '9' || r == '#' || r == '*' }

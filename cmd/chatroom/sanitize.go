package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What others send is shown, never obeyed. Some characters become escapes such
// as \n, \x1b and \u202e: control characters, invalid UTF-8, and what is not
// seen, or changes how the text around it is. A backslash stays itself, because
// an escape that somebody types does no more harm than any text.

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	emojiStyle         = '\ufe0f' // a variation selector
	keycap             = '\u20e3'
)

// visible returns s in a form that is safe to print, in one line. What is not
// seen stays where writing needs it: in emoji, and joiners in scripts that have
// them.
func visible(s string) string {
	return escape(s, func(r, before, next rune) bool {
		return isUnseen(r) && !isInEmoji(r, before, next) && !isInWord(r, before)
	})
}

// visibleName does what visible does, for the name of a sender. Nothing in the
// result is invisible, so that names that differ look different: spaces are not
// at its ends, and joiners only in emoji. It has no '>', so that the first '>'
// on a line ends the name. And it does not start as a notice does, or as a
// further line of a message.
func visibleName(s string) string {
	head, tail := "", ""
	if s != "" && (s[0] == '*' || s[0] == ' ') {
		head, s = fmt.Sprintf(`\x%02x`, s[0]), s[1:]
	}
	if before, ok := strings.CutSuffix(s, " "); ok {
		tail, s = `\x20`, before
	}
	return head + escape(s, func(r, before, next rune) bool {
		switch {
		case r == '>' || strings.ContainsRune(blanks, r):
			return true
		case isUnseen(r):
			return !isInEmoji(r, before, next)
		}
		return r != ' ' && !unicode.IsPrint(r)
	}) + tail
}

// blanks are characters that fonts show as nothing, though they are neither
// spaces nor ignorable: the Braille pattern without dots, which pictures are
// made of, and the musical null notehead.
const blanks = "\u2800\U0001d159"

// isUnseen reports whether r is not seen, or changes how others are. The sets
// are those of the Unicode Character Database: Cc, Cf, Zl and Zp of
// UnicodeData.txt, and Other_Default_Ignorable_Code_Point and
// Variation_Selector of PropList.txt. chatroom.CheckName refuses the same.
func isUnseen(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isInEmoji reports whether r, which is not seen, joins two emoji or has a
// character shown as one. before is the last character that is seen, and next
// the one after r.
func isInEmoji(r, before, next rune) bool {
	switch r {
	case zeroWidthJoiner:
		return isEmoji(before) && isEmoji(next)
	case emojiStyle:
		return isEmoji(before) || next == keycap && strings.ContainsRune("0123456789#*", before)
	}
	return false
}

// moreEmoji are the emoji of Unicode's emoji-data.txt that are in no category
// of isEmoji's, but for the keys of a telephone.
const moreEmoji = "‼⁉ℹ↔◻◼◽◾⤴⤵〰"

// isEmoji reports whether r may be a part of an emoji: a symbol, or what changes
// the colour of a skin.
func isEmoji(r rune) bool {
	return r != utf8.RuneError && // as DecodeRune returns at the end
		(unicode.Is(unicode.So, r) || r >= 0x1f3fb && r <= 0x1f3ff || strings.ContainsRune(moreEmoji, r))
}

// isInWord reports whether r is a joiner after a character of a script that is
// spelled with joiners. Persian is, and most scripts of India.
func isInWord(r, before rune) bool {
	return (r == zeroWidthNonJoiner || r == zeroWidthJoiner) && unicode.In(before,
		unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
		unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer)
}

// escape replaces characters of s by escapes. It asks must whether to replace
// r, with the last character before r that is seen, or 0 if none is or r's
// neighbour is an escape, and the one after r. A repeated joiner has 0 before it.
func escape(s string, must func(r, before, next rune) bool) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	var before rune
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		next, _ := utf8.DecodeRuneInString(s[size:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
			before = 0
		case must(r, before, next):
			b.WriteString(escapeOf(r))
			before = 0
		default:
			b.WriteString(s[:size])
			before = seenAfter(before, r)
		}
		s = s[size:]
	}
	return b.String()
}

// isPlain reports whether s is of printable ASCII without '>', of which nothing
// becomes an escape.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '>' {
			return false
		}
	}
	return true
}

// seenAfter returns the last character that is seen after r has followed before.
func seenAfter(before, r rune) rune {
	switch {
	case r == emojiStyle:
		return before
	case isUnseen(r): // a joiner: another one after it joins nothing
		return 0
	}
	return r
}

// escapeOf returns the escape of r.
func escapeOf(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < utf8.RuneSelf:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

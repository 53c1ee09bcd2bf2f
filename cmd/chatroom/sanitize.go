package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What others send is shown, never obeyed. Some characters become escapes such
// as \n, \x1b and \u202e: control characters (C0, C1 and DEL), line and
// paragraph separators, invalid UTF-8, and format characters, which are
// invisible or reorder the text around them. A backslash stays itself, because
// an escape that somebody types does no more harm than any text.

// visible returns s in a form that is safe to print, in one line.
func visible(s string) string { return escape(s, mustEscapeText) }

// visibleName does what visible does, for the name of a sender. Nothing in the
// result is invisible, so that names that differ look different. It has no '>',
// so that the first '>' on a line ends the name. And it does not start as a
// notice does, or as a further line of a message.
func visibleName(s string) string {
	if s != "" && (s[0] == '*' || s[0] == ' ') {
		return fmt.Sprintf(`\x%02x`, s[0]) + escape(s[1:], mustEscapeName)
	}
	return escape(s, mustEscapeName)
}

func mustEscapeText(r rune) bool {
	switch r {
	case '\u200c', '\u200d': // joiners, which Persian and some emoji need
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

func mustEscapeName(r rune) bool {
	return r == '>' || r != ' ' && !unicode.IsPrint(r)
}

func escape(s string, must func(rune) bool) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, must) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !must(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestVisible(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain text, ünïcödé, 日本語", "plain text, ünïcödé, 日本語"},
		{"a\nb\r\tc", `a\nb\r\tc`},
		{"\x1b[2J\x07\x7f\x00", `\x1b[2J\x07\x7f\x00`},
		{"\u009b31m\u0085", `\u009b31m\u0085`},
		{"\x9b\xff \xe2\x80", `\x9b\xff \xe2\x80`},
		{"\u202eabc\u2066\u200f", `\u202eabc\u2066\u200f`},
		{"\u2028\u2029\ufeff\u200b", `\u2028\u2029\ufeff\u200b`},
		{"\U000e0041", `\U000e0041`},
		{"\ufffd is itself", "\ufffd is itself"},
		{"\ufffd\xff", "\ufffd" + `\xff`},
		{"👩\u200d👧", "👩\u200d👧"},
		{`C:\new`, `C:\new`},

		// Nothing is hidden: soft hyphens, fillers, variation selectors, the tags
		// that spell other text.
		{"a\u00adb\u034fc\u180ed", `a\u00adb\u034fc\u180ed`},
		{"\u115f\u1160\u3164\uffa0", `\u115f\u1160\u3164\uffa0`},
		{"a\ufe0fb\ufe0e\U000e0100", `a\ufe0fb\ufe0e\U000e0100`},
		{"a\u200db\u200cc\u2060", `a\u200db\u200cc\u2060`},
		{"👩\u200d\u200d👧", `👩\u200d\u200d👧`},
		{"👩\u200d", `👩\u200d`},
		{"👩\u200dx", `👩\u200dx`},
		{"1\ufe0f", `1\ufe0f`},

		// What emoji and words need stays.
		{"👩🏽\u200d🚀 🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥 🙂\u200d↔\ufe0f", "👩🏽\u200d🚀 🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥 🙂\u200d↔\ufe0f"},
		{"1\ufe0f\u20e3 ℹ\ufe0f", "1\ufe0f\u20e3 ℹ\ufe0f"},
		{"می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"},
		{"می\u200c\u200cخ", "می\u200c" + `\u200c` + "خ"},
		{"e\u0301 ⠀⠁", "e\u0301 ⠀⠁"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, visible(tt.in), "%q", tt.in)
	}
}

func TestVisibleName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"alice", "alice"},
		{"Ann Lee", "Ann Lee"},
		{"bob > hi", `bob \x3e hi`},
		{"* the room is open", `\x2a the room is open`},
		{"  | bob", `\x20 | bob`},
		{"al\u200dice", `al\u200dice`},
		{"a\u00a0b", `a\u00a0b`},
		{"bob ", `bob\x20`},
		{"bob  ", `bob \x20`},
		{" ", `\x20`},
		{"  ", `\x20\x20`},
		{"bob\u3164", `bob\u3164`},
		{"bo\u2800b", `bo\u2800b`},
		{"bob\ufe0f", `bob\ufe0f`},
		{"می\u200cخ", `می\u200cخ`},
		{"👩\u200d🚀", "👩\u200d🚀"},
		{"a\x1b[0m\n", `a\x1b[0m\n`},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, visibleName(tt.in), "%q", tt.in)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b[2J\n\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, shown := range []string{visible(s), visibleName(s)} {
			if !utf8.ValidString(shown) {
				t.Errorf("%q is shown as %q: not UTF-8", s, shown)
			}
			if strings.ContainsFunc(shown, unicode.IsControl) {
				t.Errorf("%q is shown as %q: control characters", s, shown)
			}
		}
		name := visibleName(s)
		if strings.Contains(name, ">") {
			t.Errorf("name %q is shown as %q: it does not end at the first '>'", s, name)
		}
		if strings.TrimSpace(name) != name {
			t.Errorf("name %q is shown as %q: space at an end", s, name)
		}
		for _, r := range name {
			if isUnseen(r) && r != zeroWidthJoiner && r != emojiStyle {
				t.Errorf("name %q is shown as %q: %U is not seen", s, name, r)
			}
		}
	})
}

func TestAcceptableName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"alice", "alice"},
		{" al\x1bi\nce\xff ", "alice"},
		{"\x00", ""},
		{strings.Repeat("é", 40), strings.Repeat("é", 32)},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, acceptableName(tt.in), "%q", tt.in)
	}
}

func TestLoginName(t *testing.T) {
	for _, key := range []string{"USER", "LOGNAME", "USERNAME"} {
		t.Setenv(key, "")
	}
	assert.Equal(t, "guest", loginName())
	t.Setenv("LOGNAME", "ann")
	assert.Equal(t, "ann", loginName())
	t.Setenv("USER", "\x1b")
	assert.Equal(t, "ann", loginName(), "nothing of $USER is left")
}

func TestColoursAreSteady(t *testing.T) {
	p := painter{on: true}
	assert.Equal(t, "\x1b[95malice\x1b[0m", p.name("alice", "alice"))
	assert.Equal(t, "\x1b[35mbob\x1b[0m", p.name("bob", "bob"))
	assert.Equal(t, "alice", painter{}.name("alice", "alice"))
}

func TestColoursOff(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	assert.True(t, newPainter(true).on)
	assert.False(t, newPainter(false).on, "no terminal")
	t.Setenv("NO_COLOR", "1")
	assert.False(t, newPainter(true).on, "NO_COLOR")
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	assert.False(t, newPainter(true).on, "dumb terminal")
}

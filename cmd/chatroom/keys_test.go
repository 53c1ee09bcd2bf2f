package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestKeys(t *testing.T) {
	press := func(actions ...action) (keys []key) {
		for _, a := range actions {
			keys = append(keys, key{action: a})
		}
		return keys
	}
	text := func(s string) (keys []key) {
		for _, r := range s {
			keys = append(keys, key{text: r})
		}
		return keys
	}
	tests := []struct {
		name, sent string
		want       []key
	}{
		{"text", "aé語👧", text("aé語👧")},
		{"tab", "a\tb", text("a\tb")},
		{"invalid", "\xffa\xe8\xaab", text("\ufffdab")},
		{"C1 control", "\u009b1m", text("1m")},
		{"controls", "\x01\x05\x02\x06\x0b\x15\x17\x0c\x10\x0e\x7f\x08\x04\x03", press(keyHome, keyEnd, keyLeft, keyRight,
			keyKillEnd, keyKillStart, keyKillWord, keyClear, keyUp, keyDown, keyBackspace, keyBackspace, keyCtrlD, keyCtrlC)},
		{"unused controls", "\x00\x1c\x07", nil},
		{"Enter", "\r\n", press(keyEnter, keyEnter)},
		{"arrows", "\x1b[A\x1bOB\x1b[C\x1bOD", press(keyUp, keyDown, keyRight, keyLeft)},
		{"words", "\x1b[1;5C\x1b[1;3D\x1bb\x1bf\x1b\x7f", press(keyWordRight, keyWordLeft, keyWordLeft, keyWordRight, keyKillWord)},
		{"Home, End, Delete", "\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[3~", press(keyHome, keyEnd, keyHome, keyEnd, keyDelete)},
		{"unknown sequences", "\x1b[15~\x1b[[A\x1bx\x1b[?1;2ca", text("a")},
		{"Escape alone", "\x1b\x03", press(keyCtrlC)},
		{"Escape twice", "\x1b\x1b[A", press(keyUp)},
		{"half a sequence", "\x1b[\x03", press(keyCtrlC)},
		{"Enter in a sequence", "\x1b[1\r", press(keyEnter)},
		{"Escape and a character of several bytes", "\x1bé", text("é")},
		{"half a character", "\xe8\x03", press(keyCtrlC)},
		{"paste", "\x1b[200~a\tb\x1b[201~c", text("a\tbc")},
		{"colours and controls in a paste", "\x1b[200~\x1b[31ma\x15\x7f\x1b[A\x1b[201~\x15", append(text("a"), press(keyKillStart)...)},
		{"lines in a paste", "\x1b[200~a\rb\x1b[201~", append(append(text("a"), press(keyEnter)...), text("b")...)},
		{"Ctrl-C in a paste", "\x1b[200~\x03", press(keyCtrlC)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r keyReader
			var got []key
			for _, b := range []byte(tt.sent) {
				if k, ok := r.next(b); ok {
					got = append(got, k)
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// An escape sequence without an end does not take memory for ever, or swallow
// everything.
func TestKeysWithoutEnd(t *testing.T) {
	var r keyReader
	r.next(esc)
	r.next('[')
	swallowed := 0
	for ; swallowed < 100; swallowed++ {
		if _, ok := r.next('1'); ok {
			break
		}
	}
	assert.Equal(t, maxSequence-1, swallowed)
}

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	family  = "👩\u200d👩\u200d👧\u200d👦"
	germany = "🇩🇪"
)

// typeInto has e get what the terminal sends.
func typeInto(e *editor, sent string) {
	var r keyReader
	for _, b := range []byte(sent) {
		if k, ok := r.next(b); ok {
			e.press(k)
		}
	}
}

func TestEditor(t *testing.T) {
	const left, right, del = "\x1b[D", "\x1b[C", "\x1b[3~"
	tests := []struct{ name, sent, want string }{ // "|" is the cursor
		{"type", "abc", "abc|"},
		{"insert", "ac" + left + "b", "ab|c"},
		{"wide", "日本語" + left + "x", "日本x|語"},
		{"backspace", "a" + family + "\x7f", "a|"},
		{"backspace after a flag", germany + germany + "\x7f", germany + "|"},
		{"backspace after marks", "oe\u0301\u0323\x7f", "o|"},
		{"backspace at the start", "\x7fa" + left + "\x7f", "|a"},
		{"delete", family + "a\x01" + del, "|a"},
		{"delete at the end", "a" + del, "a|"},
		{"Ctrl-D", "ab\x01\x04", "|b"},
		{"left and right", "a" + family + "b" + left + left + left + left + right, "a|" + family + "b"},
		{"home and end", "bc\x01a\x05d", "abcd|"},
		{"words", "one two  three\x1bb\x1bbx\x1bfy", "one xtwoy|  three"},
		{"kill word", "one two  \x17", "one |"},
		{"kill start", "ab" + left + "\x15", "|b"},
		{"kill end", "ab" + left + "\x0b", "a|"},
		{"a mark joins what is before", "ab" + left + "\u0301", "a\u0301|b"},
		{"a mark joins what was apart", "ax\u0301b" + left + left + "\x7f\x05", "x\u0301b|"},
		{"a joiner makes a family", "👩👧" + left + "\u200d", "👩\u200d👧|"},
		{"tab", "a\tb\x7f", "a\t|"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e editor
			typeInto(&e, tt.sent)
			assert.Equal(t, tt.want, string(e.before)+"|"+string(e.after))
		})
	}
}

func TestEditorHistory(t *testing.T) {
	const up, down = "\x1b[A", "\x1b[B"
	var e editor
	want := func(text string) {
		t.Helper()
		assert.Equal(t, text, string(e.before)+string(e.after))
	}
	typeInto(&e, up+down)
	want("")
	for _, line := range []string{"one", "two"} {
		typeInto(&e, line+"\x01")
		assert.Equal(t, line, e.enter())
	}
	typeInto(&e, "thr"+up)
	want("two")
	typeInto(&e, up+up)
	want("one")
	typeInto(&e, "!"+down)
	want("two")
	typeInto(&e, down+down)
	want("thr")
	typeInto(&e, up+up)
	want("one") // editing a line of the history leaves it as it was
	assert.Equal(t, "one", e.enter())
	for i := range maxHistory {
		typeInto(&e, fmt.Sprint("line ", i))
		e.enter()
	}
	typeInto(&e, strings.Repeat(up, 2*maxHistory))
	want("line 0")
}

// A line is no longer than a message may be.
func TestEditorIsFull(t *testing.T) {
	e := editor{before: []byte(strings.Repeat("x", maxLine-1))}
	require.False(t, e.press(key{text: 'é'}))
	require.True(t, e.press(key{text: 'e'}))
	require.False(t, e.press(key{text: 'e'}))
	assert.Len(t, e.enter(), maxLine)
}

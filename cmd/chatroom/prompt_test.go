package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// newScreenOn returns the screen of ann on terminal.
func newScreenOn(terminal *testTerminal) (*screen, *testTerminal) {
	rw := struct {
		io.Reader
		io.Writer
	}{nil, terminal}
	s := newScreen(rw, "ann", painter{}, nil)
	s.setSize(int32(terminal.width))
	return s, terminal
}

func TestPromptDraws(t *testing.T) {
	const left = "\x1b[D"
	twenty := "abcdefghijklmnopqrst"
	tests := []struct {
		name   string
		width  int
		sent   string
		want   string
		column int // of the cursor
	}{
		{"empty", 30, "", "ann >", 6},
		{"text", 30, "hello", "ann > hello", 11},
		{"in the text", 30, "hello" + left + left, "ann > hello", 9},
		{"wide", 30, "日本語" + left, "ann > 日本語", 10},
		{"emoji", 30, family + germany + left, "ann > " + family + germany, 8},
		{"tab", 30, "a\tb", `ann > a\tb`, 10},
		{"unseen", 30, "a\u202eb\u200b", `ann > a\u202eb\u200b`, 20},
		{"as long as fits", 27, twenty, "ann > " + twenty, 26},
		{"longer", 26, twenty, "ann > …cdefghijklmnopqrst", 25},
		{"longer, at its start", 26, twenty + "\x01", "ann > abcdefghijklmnopqr…", 6},
		{"longer, within", 26, twenty + strings.Repeat(left, 8), "ann > abcdefghijklmnopqr…", 18},
		{"longer, far within", 26, twenty + twenty + strings.Repeat(left, 8), "ann > …stabcdefghijklmno…", 21},
		{"longer and wide", 27, strings.Repeat("語", 20), "ann > …" + strings.Repeat("語", 9), 25},
		{"narrow", 10, "hello", "> hello", 7},
		{"very narrow", 5, "hello", "> …o", 4},
		{"too narrow", 2, "hello", ">", 2},
		{"unknown", 0, "hello", "ann > hello", 11},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e editor
			typeInto(&e, tt.sent)
			terminal := &testTerminal{width: max(tt.width, 1), joins: true}
			if tt.width == 0 {
				terminal.width = unknownWidth
			}
			_, _ = io.WriteString(terminal, prompt{name: "ann"}.draw(&e, tt.width))
			assert.Equal(t, []string{tt.want}, terminal.text())
			assert.Equal(t, tt.column, terminal.col, "column")
			assert.False(t, terminal.clips)
		})
	}
}

// TestPromptKeepsMessages types, moves and deletes at random while messages
// arrive, on terminals of all kinds. No message is lost, and below them is one
// line with a prompt.
func TestPromptKeepsMessages(t *testing.T) {
	pieces := []string{
		"a", " ", "word ", "語", family, germany, "🇩", "👍🏽", "e\u0301", "\u0301", "\u200d", "\t", "\u202e", "é", "한국", "❤\ufe0f",
		"\x7f", "\x7f", "\x1b[D", "\x1b[D", "\x1b[C", "\x1b[3~", "\x01", "\x05", "\x1bb", "\x1bf", "\x17", "\x1b[A", "\x1b[B",
	}
	seed := rand.Uint64()
	for _, joins := range []bool{true, false} {
		for _, width := range []int{4, 10, 24, 40, 80} {
			t.Run(fmt.Sprint("width ", width, ", joins ", joins), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0))
				s, terminal := newScreenOn(&testTerminal{width: width, joins: joins})
				typed := make(chan string, 100)
				var messages []string
				for i := range 300 {
					piece := pieces[rng.IntN(len(pieces))]
					s.press([]byte(piece), typed)
					if i%10 == 0 {
						messages = append(messages, fmt.Sprint(i))
						s.show(messages[len(messages)-1])
					}
					lines := terminal.text()
					require.Equal(t, messages, lines[:len(lines)-1], "after %q, with seed %d", piece, seed)
					prompt := "ann >"
					if width < minNamed {
						prompt = ">"
					}
					require.True(t, strings.HasPrefix(lines[len(lines)-1], prompt), "%q, with seed %d", lines, seed)
					require.Equal(t, len(messages), terminal.row)
				}
			})
		}
	}
}

// What was typed is shown as the message that it is, however long.
func TestPromptEnters(t *testing.T) {
	s, terminal := newScreenOn(&testTerminal{width: 24, joins: true})
	typed := make(chan string, 1)
	s.press([]byte(strings.Repeat("語\x7f語", 10)+"\tend\r"), typed)
	assert.Equal(t, strings.Repeat("語", 10)+"\tend", <-typed)
	assert.Equal(t, []string{"ann > " + strings.Repeat("語", 9), "  | 語" + `\tend`, "ann >"}, terminal.text())
	s.show(s.format(chatroom.Message{From: "bob", Body: []byte("hi")}))
	assert.Equal(t, []string{"bob > hi", "ann >"}, terminal.text()[2:])
	s.press([]byte("\x0c"), typed)
	assert.Equal(t, []string{"ann >"}, terminal.text())
}

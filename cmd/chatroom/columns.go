package main

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// What looks like one character may be several of Unicode's, such as an emoji of
// a family, a flag, or a letter with its marks: a cluster. Unicode says what
// clusters are, and how wide most are. How wide the others are, terminals do not
// agree on. So where a line must not be too long, columns counts the most.

// clusters calls yield with each cluster of s in turn.
func clusters(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for g := displaywidth.StringGraphemes(s); g.Next(); {
			if !yield(g.Value()) {
				return
			}
		}
	}
}

// columns returns how many columns a terminal gives s at most.
func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns returns how many columns a terminal gives r at most. Wide
// characters start with Hangul. Every character from there on counts as wide;
// if it is not, its line is only folded early.
func runeColumns(r rune) int {
	if r < 0x1100 {
		return 1
	}
	return 2
}

// likelyColumns returns how many columns most terminals give s.
func likelyColumns(s string) int { return displaywidth.String(s) }

// clip returns the beginning of s that fits limit columns. It marks it unless
// it is all of s.
func clip(s string, limit int) string {
	if columns(s) <= limit {
		return s
	}
	n, fits := 1, 0 // 1 is for the mark
	for c := range clusters(s) {
		if n += columns(c); n > limit {
			break
		}
		fits += len(c)
	}
	return s[:fits] + "…"
}

// A folder folds text at the right edge of the screen.
type folder struct {
	strings.Builder
	width int // of the screen
	room  int // columns left in the line
}

// newLine begins a line of the screen, which is a further one of the message.
func (f *folder) newLine() {
	f.WriteString("\n" + indent)
	f.room = f.width - len(indent)
}

// add adds text, on further lines as far as it does not fit. It keeps clusters
// whole that fit a line.
func (f *folder) add(text string) {
	for c := range clusters(text) {
		n := columns(c)
		if n > f.room {
			f.newLine()
		}
		if n <= f.room {
			f.WriteString(c)
			f.room -= n
			continue
		}
		for _, r := range c {
			if runeColumns(r) > f.room {
				f.newLine()
			}
			f.WriteRune(r)
			f.room -= runeColumns(r)
		}
	}
}

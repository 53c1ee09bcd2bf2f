package main

import (
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// A testTerminal shows what is written to it as terminals do, as far as the
// program uses them. It never scrolls.
type testTerminal struct {
	width int

	// joins tells whether it shows a cluster as one character. Many terminals
	// show each of its characters.
	joins bool

	rows     [][]string // the text of each cell; "" is the right half of the one before
	row, col int
	kept     [2]int
	clips    bool // at the right edge
}

func (t *testTerminal) Write(p []byte) (int, error) {
	for s := string(p); s != ""; {
		text, rest := s, ""
		if i := strings.IndexAny(s, "\r\n\a\x1b"); i >= 0 {
			text, rest = s[:i], s[i:]
		}
		for c := range clusters(text) {
			if t.joins {
				t.put(c, displaywidth.String(c))
				continue
			}
			for _, r := range c {
				t.put(string(r), displaywidth.Rune(r))
			}
		}
		if rest != "" {
			rest = t.control(rest)
		}
		s = rest
	}
	return len(p), nil
}

// put shows a character at the cursor.
func (t *testTerminal) put(text string, width int) {
	if t.col+width > t.width {
		if t.clips {
			t.col = t.width - width
		} else {
			t.row, t.col = t.row+1, 0
		}
	}
	line := t.line()
	if width == 0 {
		if t.col > 0 {
			line[t.col-1] += text
		}
		return
	}
	clear(line[t.col : t.col+width])
	line[t.col] = text
	t.col += width
}

// control obeys the control character or the escape sequence that s begins with,
// and returns the rest of s.
func (t *testTerminal) control(s string) (rest string) {
	switch s[0] {
	case '\r':
		t.col = 0
	case '\n':
		t.row++
	case esc:
		return t.sequence(s[1:])
	}
	return s[1:]
}

func (t *testTerminal) sequence(s string) (rest string) {
	switch s[0] {
	case '7':
		t.kept = [2]int{t.row, t.col}
		return s[1:]
	case '8':
		t.row, t.col = t.kept[0], t.kept[1]
		return s[1:]
	}
	end := strings.IndexFunc(s[1:], func(r rune) bool { return r >= '@' }) + 1
	switch sequence := s[:end+1]; sequence {
	case "[J":
		t.line()
		t.rows = t.rows[:t.row+1]
		fallthrough
	case "[K":
		line := t.line()
		for i := min(t.col, t.width-1); i < len(line); i++ {
			line[i] = " "
		}
	case "[?7l":
		t.clips = true
	case "[?7h":
		t.clips = false
	case "[H":
		t.row, t.col = 0, 0
	case "[2J":
		t.rows = nil
	default:
		panic("unknown sequence " + strconv.Quote(sequence))
	}
	return s[end+1:]
}

// line returns the cells of the line that the cursor is in.
func (t *testTerminal) line() []string {
	for len(t.rows) <= t.row {
		line := make([]string, t.width)
		for i := range line {
			line[i] = " "
		}
		t.rows = append(t.rows, line)
	}
	return t.rows[t.row]
}

// text returns the lines that are shown, each without the spaces at its end.
func (t *testTerminal) text() (lines []string) {
	for _, row := range t.rows {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return lines
}

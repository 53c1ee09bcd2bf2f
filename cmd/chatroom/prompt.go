package main

import (
	"slices"
	"strings"
)

const (
	// unknownWidth is for how many columns the line is drawn if the terminal
	// does not say how many it has.
	unknownWidth = 80

	// minNamed is the narrowest screen, in columns, on which the user's name
	// stands before the line.
	minNamed = 24

	// nearCursor is how many bytes on each side of the cursor are looked at.
	// More do not fit a screen.
	nearCursor = 8 << 10

	// cutMark is where more of the line is than there is room for.
	cutMark = "…"

	// The terminal is asked to clip at its right edge what is drawn, and to
	// keep the cursor. So it does not matter that it may count columns
	// differently.
	clipLine   = "\x1b[?7l"
	wrapLine   = "\x1b[?7h"
	keepCursor = "\x1b7"
	backToKept = "\x1b8"
	clearRest  = "\x1b[K"

	// clearBelow clears the rest of the screen from the start of the line. The
	// terminal may have folded the line when it was made narrower.
	clearBelow = "\r\x1b[J"
)

// A prompt draws the line being typed, always in one line of the screen: of a
// longer one it shows the part around the cursor. Lines that a terminal folds
// could not be drawn again without knowing for certain how wide it takes each
// character to be.
type prompt struct {
	name  string
	paint painter
}

// draw returns what draws the line of e on a screen of width columns.
func (p prompt) draw(e *editor, width int) string {
	if width <= 0 {
		width = unknownWidth
	}
	text, columns := p.text(width)
	before, after := around(e, width-columns-1) // the cursor is a column, too
	return "\r" + clipLine + text + before + keepCursor + after + clearRest + backToKept + wrapLine
}

// text returns what stands before the line, and its columns.
func (p prompt) text(width int) (text string, columns int) {
	if width < minNamed {
		return "> ", len("> ")
	}
	name := clip(visibleName(p.name), width/3)
	return p.paint.name(p.name, name) + " > ", likelyColumns(name) + len(" > ")
}

// around returns what is shown before and after the cursor of e in room
// columns. What is after it gets a quarter of them, and what the other leaves.
func around(e *editor, room int) (before, after string) {
	left, right := shownCells(lastBytes(e.before, nearCursor)), shownCells(e.after[:min(len(e.after), nearCursor)])
	slices.Reverse(left)
	_, reserved := fit(right, room/4)
	n, used := fit(left, room-reserved)
	left = left[:n]
	slices.Reverse(left)
	before = join(left)
	if used > columnsOf(left) {
		before = cutMark + before
	}
	n, used = fit(right, room-used)
	after = join(right[:n])
	if used > columnsOf(right[:n]) {
		after += cutMark
	}
	return before, after
}

// A cell is a cluster of the line as it is shown.
type cell struct {
	text    string
	columns int
}

// shownCells returns how the clusters of s are shown. Each keeps to the line: a
// tab, for one, is shown as \t.
func shownCells(s []byte) (cells []cell) {
	for c := range clusters(string(s)) {
		text := visible(c)
		cells = append(cells, cell{text, likelyColumns(text)})
	}
	return cells
}

// fit returns how many of cells, from the first, fit room columns, and how many
// columns that takes. If not all of them fit, there is room for a cutMark, too.
func fit(cells []cell, room int) (n, columns int) {
	if room <= 0 {
		return 0, 0
	}
	if columnsOf(cells) <= room {
		return len(cells), columnsOf(cells)
	}
	columns = likelyColumns(cutMark)
	for columns+cells[n].columns <= room {
		columns += cells[n].columns
		n++
	}
	return n, columns
}

func columnsOf(cells []cell) (n int) {
	for _, c := range cells {
		n += c.columns
	}
	return n
}

func join(cells []cell) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(c.text)
	}
	return b.String()
}

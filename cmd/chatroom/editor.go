package main

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

const (
	// maxHistory is how many typed lines can be gone back to.
	maxHistory = 100

	// longCluster is how many bytes are looked at to find where a cluster
	// begins or ends, so that long lines cost no more than short ones.
	longCluster = 512
)

// An editor is the line being typed, with a cursor in it, and those typed
// before. The cursor never stands within a cluster. The zero editor has an empty
// line.
type editor struct {
	before, after []byte // the cursor

	history [][]byte // the oldest first
	back    int      // how many lines of it the user has gone back
	unsent  []byte   // what was being typed before that
}

// press does what k does to the line. It returns false if it does nothing
// because the line has no more room.
func (e *editor) press(k key) bool {
	switch k.action {
	case keyText:
		if len(e.before)+len(e.after)+utf8.RuneLen(k.text) > maxLine {
			return false
		}
		e.before = utf8.AppendRune(e.before, k.text)
	case keyBackspace:
		e.before = e.before[:len(e.before)-lastCluster(e.before)]
	case keyDelete, keyCtrlD:
		e.after = e.after[firstCluster(e.after):]
	case keyLeft:
		e.moveLeft(lastCluster(e.before))
	case keyRight:
		e.moveRight(firstCluster(e.after))
	case keyWordLeft:
		e.moveLeft(lastWord(e.before))
	case keyWordRight:
		e.moveRight(firstWord(e.after))
	case keyHome:
		e.moveLeft(len(e.before))
	case keyEnd:
		e.moveRight(len(e.after))
	case keyKillWord:
		e.before = e.before[:len(e.before)-lastWord(e.before)]
	case keyKillStart:
		e.before = e.before[:0]
	case keyKillEnd:
		e.after = e.after[:0]
	case keyUp:
		e.recall(e.back + 1)
	case keyDown:
		e.recall(e.back - 1)
	}
	e.settle()
	return true
}

// isEmpty reports whether the line is empty.
func (e *editor) isEmpty() bool { return len(e.before)+len(e.after) == 0 }

// enter returns the line, remembers it, and begins an empty one.
func (e *editor) enter() string {
	line := bytes.Join([][]byte{e.before, e.after}, nil)
	if len(e.history) == maxHistory {
		e.history = append(e.history[:0], e.history[1:]...)
	}
	e.history = append(e.history, line)
	e.before, e.after, e.unsent, e.back = nil, nil, nil, 0
	return string(line)
}

// recall goes to the line that is so many back. The one being typed is 0 back.
func (e *editor) recall(back int) {
	if back < 0 || back > len(e.history) {
		return
	}
	if e.back == 0 {
		e.unsent = bytes.Join([][]byte{e.before, e.after}, nil)
	}
	e.back = back
	line := e.unsent
	if back > 0 {
		line = e.history[len(e.history)-back]
	}
	e.before, e.after = bytes.Clone(line), nil
}

func (e *editor) moveLeft(bytes int) {
	at := len(e.before) - bytes
	e.after = append(append([]byte(nil), e.before[at:]...), e.after...)
	e.before = e.before[:at]
}

func (e *editor) moveRight(bytes int) {
	e.before = append(e.before, e.after[:bytes]...)
	e.after = e.after[bytes:]
}

// settle moves the cursor to the end of the cluster that it is in. What was
// typed or deleted may have made one around it.
func (e *editor) settle() {
	if len(e.before) == 0 || len(e.after) == 0 {
		return
	}
	last := lastCluster(e.before)
	around := append(bytes.Clone(e.before[len(e.before)-last:]), e.after[:min(len(e.after), longCluster)]...)
	if first := firstCluster(around); first > last {
		e.moveRight(first - last)
	}
}

// lastCluster returns the length of the last cluster of s.
func lastCluster(s []byte) (n int) {
	for g := displaywidth.BytesGraphemes(lastBytes(s, longCluster)); g.Next(); {
		n = len(g.Value())
	}
	return n
}

// lastBytes returns the end of s, of n bytes or a little less: it begins with a
// whole character.
func lastBytes(s []byte, n int) []byte {
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}

// firstCluster returns the length of the first cluster of s.
func firstCluster(s []byte) int {
	g := displaywidth.BytesGraphemes(s)
	g.Next()
	return len(g.Value())
}

// lastWord returns the length of the last word of s, with the spaces after it.
func lastWord(s []byte) int {
	word := bytes.TrimRightFunc(s, unicode.IsSpace)
	return len(s) - len(bytes.TrimRightFunc(word, isInAWord))
}

// firstWord returns the length of the first word of s, with the spaces before
// it.
func firstWord(s []byte) int {
	word := bytes.TrimLeftFunc(s, unicode.IsSpace)
	return len(s) - len(bytes.TrimLeftFunc(word, isInAWord))
}

func isInAWord(r rune) bool { return !unicode.IsSpace(r) }

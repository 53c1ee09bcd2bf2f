package main

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A key is what a key does, or one character of text.
type key struct {
	action action
	text   rune // of keyText
}

// An action is what a key does to the line being typed.
type action int

const (
	keyText      action = iota // inserts a character
	keyEnter                   // ends the line
	keyBackspace               // deletes the character before the cursor
	keyDelete                  // deletes the one after it
	keyCtrlD                   // does that, too, but leaves if the line is empty
	keyCtrlC                   // leaves
	keyLeft
	keyRight
	keyWordLeft
	keyWordRight
	keyHome
	keyEnd
	keyKillWord  // deletes the word before the cursor
	keyKillStart // deletes everything before it
	keyKillEnd   // deletes everything after it
	keyUp        // goes back in the history
	keyDown      // goes forward in it
	keyClear     // clears the screen
)

// controls are the keys that are one control character, as emacs and most
// shells have them.
var controls = map[byte]action{
	'A' - '@': keyHome,
	'B' - '@': keyLeft,
	'C' - '@': keyCtrlC,
	'D' - '@': keyCtrlD,
	'E' - '@': keyEnd,
	'F' - '@': keyRight,
	'H' - '@': keyBackspace,
	'J' - '@': keyEnter,
	'K' - '@': keyKillEnd,
	'L' - '@': keyClear,
	'M' - '@': keyEnter,
	'N' - '@': keyDown,
	'P' - '@': keyUp,
	'U' - '@': keyKillStart,
	'W' - '@': keyKillWord,
	0x7f:      keyBackspace,
}

// sequences are the keys that are an escape sequence: what follows Escape. A
// modifier of Ctrl or Alt is written as 5.
var sequences = map[string]action{
	"[A": keyUp, "OA": keyUp,
	"[B": keyDown, "OB": keyDown,
	"[C": keyRight, "OC": keyRight,
	"[D": keyLeft, "OD": keyLeft,
	"[1;5C": keyWordRight, "f": keyWordRight,
	"[1;5D": keyWordLeft, "b": keyWordLeft,
	"[H": keyHome, "OH": keyHome, "[1~": keyHome, "[7~": keyHome,
	"[F": keyEnd, "OF": keyEnd, "[4~": keyEnd, "[8~": keyEnd,
	"[3~":  keyDelete,
	"\x7f": keyKillWord, "\b": keyKillWord,
}

const (
	esc = 0x1b

	// pasteStart and pasteEnd follow Escape around what is pasted, on terminals
	// that were asked to tell.
	pasteStart = "[200~"
	pasteEnd   = "[201~"

	// maxSequence is the longest escape sequence, in bytes, that is waited for.
	maxSequence = 32
)

// A keyReader makes keys of the bytes that a terminal sends. The zero keyReader
// is ready for the first.
type keyReader struct {
	// begun is the beginning of a character, or of an escape sequence.
	begun []byte

	pasting bool
}

// next takes the next byte, and returns the key that it completes, if it does.
func (r *keyReader) next(b byte) (k key, ok bool) {
	if b == 'C'-'@' { // wherever it comes: it must always be possible to leave
		r.begun = r.begun[:0]
		return key{action: keyCtrlC}, true
	}
	if len(r.begun) > 0 && r.begun[0] == esc {
		return r.nextOfSequence(b)
	}
	return r.nextOfText(b)
}

func (r *keyReader) nextOfText(b byte) (k key, ok bool) {
	switch {
	case b >= utf8.RuneSelf:
		r.begun = append(r.begun, b)
		if !utf8.FullRune(r.begun) {
			return key{}, false
		}
		text, size := utf8.DecodeRune(r.begun)
		r.begun = r.begun[:copy(r.begun, r.begun[size:])]
		return key{text: text}, !unicode.IsControl(text)
	case len(r.begun) > 0: // half a character, which b does not go on with
		r.begun = r.begun[:0]
		return r.nextOfText(b)
	case b == esc:
		r.begun = append(r.begun, b)
		return key{}, false
	case b == '\t' || b >= ' ' && b < 0x7f:
		return key{text: rune(b)}, true
	}
	action, ok := controls[b]
	if r.pasting && action != keyEnter { // it is no key, and nothing to see
		return key{}, false
	}
	return key{action: action}, ok
}

func (r *keyReader) nextOfSequence(b byte) (k key, ok bool) {
	began := r.begun[1:]
	isKill := len(began) == 0 && (b == 0x7f || b == '\b')
	if b >= utf8.RuneSelf || b < ' ' && !isKill { // no sequence goes on with that
		r.begun = r.begun[:0]
		return r.nextOfText(b)
	}
	r.begun = append(r.begun, b)
	if began = r.begun[1:]; !isWholeSequence(began) && len(began) < maxSequence {
		return key{}, false
	}
	r.begun = r.begun[:0]
	switch string(began) {
	case pasteStart:
		r.pasting = true
		return key{}, false
	case pasteEnd:
		r.pasting = false
		return key{}, false
	}
	if r.pasting {
		return key{}, false
	}
	action, ok := sequences[string(bytes.Replace(began, []byte(";3"), []byte(";5"), 1))]
	return key{action: action}, ok
}

// isWholeSequence reports whether s, which follows Escape, is complete. It may
// be one character, "O" and one character, or "[", parameters and a last
// character. On a Linux console, function keys are "[[" and a character.
func isWholeSequence(s []byte) bool {
	last := s[len(s)-1]
	switch {
	case len(s) == 1:
		return last != '[' && last != 'O'
	case s[0] == 'O':
		return true
	case len(s) == 2 && last == '[':
		return false
	}
	return last >= '@' || s[1] == '['
}

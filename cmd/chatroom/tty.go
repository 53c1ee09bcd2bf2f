package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"example.com/chatroom"
)

// A tty is a screen on the program's own terminal, which it takes for the time
// of the conversation and gives back however that ends.
type tty struct {
	*screen
	in, out *os.File
	restore func() // does nothing but the first time
}

func newTTY(in, out *os.File, name string) *tty {
	t := &tty{in: in, out: out}
	rw := struct {
		io.Reader
		io.Writer
	}{in, out}
	t.screen = newScreen(rw, name, newPainter(true), func() { t.restore() })
	t.restore = func() {}
	t.followSize()
	return t
}

func (t *tty) run(ctx context.Context, conn *chatroom.Conn) error {
	defer conn.Close()
	if err := t.takeTerminal(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer t.restore()
	defer watchSize(t.followSize)()
	return t.converse(ctx, conn)
}

// takeTerminal puts the terminal in raw mode and sets restore.
func (t *tty) takeTerminal() error {
	resetEscapes, err := enableEscapes(t.out)
	if err != nil {
		return err
	}
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		resetEscapes()
		return err
	}
	t.restore = sync.OnceFunc(func() {
		// Whatever fails here, there is no better terminal to tell it to.
		_, _ = io.WriteString(t.out, "\r\n") // off the line being typed
		_ = term.Restore(int(t.in.Fd()), state)
		resetEscapes()
	})
	return nil
}

// followSize tells the screen how large the terminal is.
func (t *tty) followSize() {
	if width, height, err := term.GetSize(int(t.out.Fd())); err == nil && width > 0 && height > 0 {
		t.setSize(width, height)
	}
}

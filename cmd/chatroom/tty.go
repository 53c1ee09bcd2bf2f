package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"example.com/chatroom"
)

// maxUnshown is how many bytes may wait for a terminal. It is little, because the
// keys that are typed are echoed after them.
const maxUnshown = 16 << 10

// With tellPastes a terminal tells what is pasted, with noPastes no more.
const (
	tellPastes = "\x1b[?2004h"
	noPastes   = "\x1b[?2004l"
)

// A tty is a screen on the program's own terminal. It takes the terminal for
// the conversation, and gives it back however that ends, even if the terminal
// takes nothing any more. Everything is shown through the output shown, and
// closing that frees whoever waits for the terminal.
type tty struct {
	*screen
	in, out *os.File
	shown   *output
	written chan struct{} // closed by write
	restore func()        // does nothing but the first time
}

func newTTY(in, out *os.File, name string, link *link) *tty {
	t := &tty{in: in, out: out, shown: newOutput(out, maxUnshown), written: make(chan struct{})}
	rw := struct {
		io.Reader
		io.Writer
	}{in, shownWriter{t.shown}}
	t.screen = newScreen(rw, name, newPainter(true), func() { t.restore() })
	t.link = link
	t.restore = func() {}
	if width, ok := t.columns(); ok {
		t.width.Store(width)
	}
	return t
}

func (t *tty) run(ctx context.Context, conn *chatroom.Conn, greeting ...string) error {
	defer conn.Close()
	if err := t.takeTerminal(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer watchSize(t.followSize)() // stops after restore, which frees a call that waits for the terminal
	defer t.restore()
	defer context.AfterFunc(ctx, t.endShown)()
	for _, text := range greeting {
		t.notice(text)
	}
	return t.converse(ctx, conn)
}

// takeTerminal puts the terminal in raw mode, sets restore and starts the
// writer.
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
	t.shown.add([]byte(tellPastes))
	t.restore = sync.OnceFunc(func() {
		t.endShown()
		select {
		case <-t.written:
		case <-time.After(endTimeout):
		}
		_ = term.Restore(int(t.in.Fd()), state) // if it fails, there is nowhere to report it
		resetEscapes()
	})
	go t.write()
	return nil
}

// endShown leaves the line that is being typed. Nothing more is shown.
func (t *tty) endShown() { t.shown.close(noPastes + "\r\n") }

// write writes to the terminal what is to be shown. It runs on a goroutine of
// its own, which ends after endShown, unless the terminal blocks it.
func (t *tty) write() {
	defer close(t.written)
	_ = t.shown.writeAll() // it fails only with the terminal, and reading that reports it
}

// followSize tells the screen how wide the terminal is.
func (t *tty) followSize() {
	if width, ok := t.columns(); ok {
		t.setSize(width)
	}
}

// columns returns how wide the terminal is, if it says.
func (t *tty) columns() (width int32, ok bool) {
	n, _, err := term.GetSize(int(t.out.Fd()))
	return int32(n), err == nil && n > 0
}

// A shownWriter writes to an output. It fails when the output takes nothing any
// more.
type shownWriter struct{ *output }

func (w shownWriter) Write(p []byte) (int, error) {
	if !w.add(p) {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

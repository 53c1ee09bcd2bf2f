package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"example.com/chatroom"
)

const (
	// maxUnsent is how many typed lines may wait for a connection that takes
	// none.
	maxUnsent = 1024

	// flushTimeout is how long sending the last typed lines may take when the
	// user leaves.
	flushTimeout = 2 * time.Second

	// indent begins every line of a message on the screen except its first. No
	// name begins a line like that, because '>' follows a name.
	indent = "  | "

	// minWidth is the narrowest screen, in columns, on which text is folded.
	minWidth = 24

	// clearBelow clears the rest of the screen from the start of the line.
	// term.Terminal clears the line being typed from the cursor up, by its own
	// count of columns. It misses the rows below the cursor, and counts wide
	// characters as one column.
	clearBelow = "\r\x1b[J"
)

// A screen shows the room on a terminal in raw mode. The line being typed stays
// whole while messages arrive above it.
type screen struct {
	// Fixed after construction.
	terminal *term.Terminal
	paint    painter
	rescue   func() // gives the terminal back before a panic ends the program

	width atomic.Int32 // columns; 0 is not known
	over  atomic.Bool  // nothing is shown any more
}

func newScreen(rw io.ReadWriter, name string, paint painter, rescue func()) *screen {
	prompt := paint.name(name, visibleName(name)) + " > "
	return &screen{terminal: term.NewTerminal(&keys{ReadWriter: rw}, prompt), paint: paint, rescue: rescue}
}

func (s *screen) setSize(width, height int) {
	s.width.Store(int32(width))
	_ = s.terminal.SetSize(width, height) // fails only with the terminal, and reading that reports it
}

// Write shows lines of the log. It never fails, because a log has nobody to
// tell.
//
//nolint:unparam // it is an io.Writer
func (s *screen) Write(records []byte) (int, error) {
	for record := range bytes.Lines(records) {
		s.notice(string(bytes.TrimSuffix(record, []byte("\n"))))
	}
	return len(records), nil
}

// notice tells the user something that nobody said.
func (s *screen) notice(text string) { s.show("* " + visible(text)) }

// show prints text above the line being typed.
func (s *screen) show(text string) {
	if !s.over.Load() {
		_, _ = io.WriteString(s.terminal, clearBelow+text+"\n") // reading tells when the terminal has gone
	}
}

// converse holds the conversation over conn. See front.
func (s *screen) converse(ctx context.Context, conn *chatroom.Conn) error {
	defer s.over.Store(true)
	defer conn.Close()
	typed := make(chan string, maxUnsent) // closed by read
	left := make(chan struct{})           // closed by send, when typed is and all of it is sent
	quit := make(chan struct{})           // closed by read
	ended := make(chan error, 1)          // by receive, once
	go s.read(typed, quit)
	go s.send(conn, typed, left)
	go s.receive(conn, ended)
	select {
	case <-quit:
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
	select {
	case <-left:
	case <-time.After(flushTimeout): // a room that takes nothing must not keep the user
	case <-ctx.Done():
	}
	return nil
}

// read queues the typed lines until the user leaves. It runs on a goroutine of
// its own, which a blocked read may keep until the program exits. It does not
// wait for the connection, because it also reads the keys with which the user
// leaves.
func (s *screen) read(typed chan<- string, quit chan<- struct{}) {
	defer s.restoreOnPanic()
	defer close(quit)
	defer close(typed)
	for {
		line, err := s.terminal.ReadLine()
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			return
		}
		if line == "" {
			continue
		}
		select {
		case typed <- line:
		default:
			s.notice("not sent, the server takes nothing: " + line)
		}
	}
}

// send sends what was typed. It runs on a goroutine of its own, which ends when
// typed does.
func (s *screen) send(conn *chatroom.Conn, typed <-chan string, left chan<- struct{}) {
	defer s.restoreOnPanic()
	defer close(left)
	for line := range typed {
		if err := conn.Send(context.Background(), []byte(line)); err != nil {
			s.notice("not sent: " + line)
		}
	}
}

// receive shows what the room says until it ends. It runs on a goroutine of its
// own, which ends with conn.
func (s *screen) receive(conn *chatroom.Conn, ended chan<- error) {
	defer s.restoreOnPanic()
	joined := time.Now()
	for any := false; ; any = true {
		m, err := conn.Receive(context.Background())
		if err != nil {
			ended <- roomEnd(err, any || time.Since(joined) > verdict)
			return
		}
		s.show(s.format(m))
	}
}

// format returns m as it is shown: who says it, and the text. All lines but the
// first are indented, and all fit the screen. So neither the end of a line nor
// the right edge of the screen lets a message go on as somebody else's.
func (s *screen) format(m chatroom.Message) string {
	width := int(s.width.Load())
	name := visibleName(m.From)
	if width >= minWidth {
		// A name that went over the edge could go on as another.
		name = clip(name, width/2)
	}
	var b strings.Builder
	b.WriteString(s.paint.name(m.From, name) + " > ")
	room := width - columns(name) - len(" > ")
	for i, line := range strings.Split(string(m.Body), "\n") {
		if i > 0 {
			b.WriteString("\n" + indent)
			room = width - len(indent)
		}
		line = visible(strings.TrimSuffix(line, "\r"))
		if width < minWidth {
			b.WriteString(line)
			continue
		}
		for _, r := range line {
			if room < runeColumns(r) {
				b.WriteString("\n" + indent)
				room = width - len(indent)
			}
			b.WriteRune(r)
			room -= runeColumns(r)
		}
	}
	return b.String()
}

// clip returns the beginning of s that fits limit columns. It marks it unless
// it is all of s.
func clip(s string, limit int) string {
	if columns(s) <= limit {
		return s
	}
	n := 1 // for the mark
	for i, r := range s {
		if n += runeColumns(r); n > limit {
			return s[:i] + "…"
		}
	}
	return s
}

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

// restoreOnPanic gives the terminal back, so that the panic can be read and the
// terminal used afterwards. Goroutines defer it.
func (s *screen) restoreOnPanic() {
	if v := recover(); v != nil {
		s.rescue()
		panic(v)
	}
}

// keys is what is typed. Ctrl-C ends it, even after a lone Escape, when
// term.Terminal would take it for a part of an escape sequence.
type keys struct {
	io.ReadWriter
	interrupted bool
}

const ctrlC = 3

func (k *keys) Read(p []byte) (int, error) {
	switch {
	case k.interrupted:
		return 0, io.EOF
	case len(p) == 0:
		return 0, io.ErrShortBuffer // an endless sequence: better to end than to spin
	}
	n, err := k.ReadWriter.Read(p)
	if i := bytes.IndexByte(p[:n], ctrlC); i >= 0 {
		k.interrupted = true
		n, err = i, nil
	}
	return n, err
}

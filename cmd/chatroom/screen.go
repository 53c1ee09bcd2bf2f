package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	minWidth = 10

	bell        = "\a"
	clearScreen = "\x1b[H\x1b[2J"
)

// A screen shows the room on a terminal in raw mode. The line being typed stays
// whole while messages arrive above it.
type screen struct {
	// Fixed after construction.
	terminal io.ReadWriter
	name     string
	paint    painter
	link     *link  // nil if the room is the program's own
	rescue   func() // gives the terminal back before a panic ends the program

	width atomic.Int32 // columns; 0 is not known
	over  atomic.Bool  // nothing is shown any more

	// Owned by read.
	keys keyReader

	// mu guards the line being typed, which read alone changes. It is held
	// across writes to the terminal, so that they do not mix.
	mu     sync.Mutex
	editor editor
}

func newScreen(terminal io.ReadWriter, name string, paint painter, rescue func()) *screen {
	return &screen{terminal: terminal, name: name, paint: paint, rescue: rescue}
}

// setSize tells the screen how many columns it has.
func (s *screen) setSize(width int32) {
	if s.width.Swap(width) != width {
		s.draw(clearBelow)
	}
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

func (s *screen) isTerminal() bool { return true }

// show prints text above the line being typed.
func (s *screen) show(text string) {
	s.draw(clearBelow + strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
}

// draw prints what is to come before the line being typed, and the line.
func (s *screen) draw(first string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over.Load() {
		line := prompt{s.name, s.paint}.draw(&s.editor, int(s.width.Load()))
		_, _ = io.WriteString(s.terminal, first+line) // reading tells when the terminal has gone
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
	s.draw("")
	go s.read(typed, quit)
	go s.send(conn, typed, left)
	go s.receive(conn, ended)
	select {
	case <-quit:
	case err := <-ended:
		if ctx.Err() != nil {
			return nil // left, and did not wait for the goodbye
		}
		return err
	case <-ctx.Done():
		return nil
	}
	if s.link.isLost() {
		return nil // what is typed waits for a connection that may never come
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
	buf := make([]byte, 4<<10)
	for {
		n, err := s.terminal.Read(buf)
		leaves := s.press(buf[:n], typed)
		if leaves || err != nil {
			return
		}
	}
}

// press does what the keys do that the terminal has sent, and draws the line. It
// reports whether the user leaves.
func (s *screen) press(sent []byte, typed chan<- string) (leaves bool) {
	effect := ""
	defer func() { s.draw(effect) }()
	for _, b := range sent {
		k, ok := s.keys.next(b)
		switch {
		case !ok:
		case k.action == keyCtrlC || k.action == keyCtrlD && s.editor.isEmpty():
			return true
		case k.action == keyEnter:
			s.enter(typed)
		case k.action == keyClear:
			effect = clearScreen
		case !s.edit(k):
			effect = bell
		}
	}
	return false
}

// edit does what k does to the line being typed. It returns false if the line
// has no more room.
func (s *screen) edit(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.editor.press(k)
}

// enter shows the line that was typed as the message that it is, and queues it.
func (s *screen) enter(typed chan<- string) {
	if s.editor.isEmpty() {
		return
	}
	s.mu.Lock()
	line := s.editor.enter()
	s.mu.Unlock()
	s.show(s.format(chatroom.Message{From: s.name, Body: []byte(line)}))
	select {
	case typed <- line:
	default:
		s.notice("not sent, the server takes nothing: " + line)
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
	ended <- hear(conn, s.link, s.notice, func(m chatroom.Message) bool {
		s.showMessage(m)
		return true
	})
}

func (s *screen) showMessage(m chatroom.Message) {
	if s.link == nil && m.From == noticeFrom { // another server could make them up
		s.notice(string(m.Body))
		return
	}
	s.show(s.format(m))
}

// format returns m as it is shown: who says it, and the text. All lines but the
// first are indented, and all fit the screen. So neither the end of a line nor
// the right edge of the screen lets a message go on as somebody else's.
func (s *screen) format(m chatroom.Message) string {
	width := int(s.width.Load())
	name := visibleName(m.From)
	if width < minWidth {
		width = math.MaxInt
	} else {
		// A name that went over the edge could go on as another.
		name = clip(name, width/2)
	}
	text := folder{width: width, room: width - columns(name) - len(" > ")}
	text.WriteString(s.paint.name(m.From, name) + " > ")
	for i, line := range strings.Split(string(m.Body), "\n") {
		if i > 0 {
			text.newLine()
		}
		text.add(visible(strings.TrimSuffix(line, "\r")))
	}
	return text.String()
}

// restoreOnPanic gives the terminal back, so that the panic can be read and the
// terminal used afterwards. Goroutines defer it.
func (s *screen) restoreOnPanic() {
	if v := recover(); v != nil {
		s.rescue()
		panic(v)
	}
}

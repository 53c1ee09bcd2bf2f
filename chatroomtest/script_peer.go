package chatroomtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/chatroom"
)

// A scriptPeer is a script's connection. It reads all that comes while it is not
// stalled, and writes in turn what the script sends. The script waits for neither.
type scriptPeer struct {
	// Fixed after construction.
	id   string
	nc   *pipe
	done chan struct{} // closed by serve when the server's half has ended

	reason error // why it ended; valid when done is closed

	// The test's goroutine owns the fields below.
	member  chatroom.Member // once it is let in
	told    bool            // a line has said that the connection ends
	endedAt int             // the line of the act by which the server's half had ended, or 0
	written chan struct{}   // closed when all that was sent is written, or cannot be

	// mu guards the fields below.
	mu      sync.Mutex
	inbox   []byte        // what has come and no line has expected yet
	ended   bool          // nothing more can come
	resumed chan struct{} // closed by resume; nil while it reads
}

// newScriptPeer connects to s. The peer's goroutines end with the connection,
// which the server's cleanup closes.
func newScriptPeer(s *Server, id string, addr net.Addr) *scriptPeer {
	near, far := newPipe(addr, Addr(network))
	p := &scriptPeer{id: id, nc: near, done: make(chan struct{}), written: make(chan struct{})}
	close(p.written)
	s.opened = append(s.opened, func() error {
		p.resume()
		return p.nc.Close()
	})
	go p.serve(s, far)
	go p.read()
	return p
}

// serve runs the server's half until it ends.
func (p *scriptPeer) serve(s *Server, far net.Conn) {
	defer close(p.done)
	p.reason = s.ServeConn(context.Background(), far)
}

// read fills the inbox until the connection ends.
func (p *scriptPeer) read() {
	buf := make([]byte, 4<<10)
	for {
		n, err := p.nc.Read(buf)
		p.mu.Lock()
		p.inbox = append(p.inbox, buf[:n]...)
		ended, resumed := err != nil && !errors.Is(err, os.ErrDeadlineExceeded), p.resumed
		p.ended = ended
		p.mu.Unlock()
		switch {
		case ended:
			return
		case resumed != nil:
			<-resumed
		}
	}
}

// stall stops the reading.
func (p *scriptPeer) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed == nil {
		p.resumed = make(chan struct{})
		_ = p.nc.SetReadDeadline(longAgo) // fails only when the connection has ended
	}
}

// resume goes on with the reading.
func (p *scriptPeer) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed != nil {
		_ = p.nc.SetReadDeadline(time.Time{}) // as in stall
		close(p.resumed)
		p.resumed = nil
	}
}

// send writes b after all that was sent before.
func (p *scriptPeer) send(b []byte) {
	before, after := p.written, make(chan struct{})
	p.written = after
	go func() { // ends with the connection
		defer close(after)
		<-before
		_, _ = p.nc.Write(b) // that it failed shows in what the others receive
	}()
}

// state returns the inbox, and whether the connection has ended.
func (p *scriptPeer) state() (inbox []byte, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inbox, p.ended || p.gone()
}

// take removes b from the beginning of the inbox, and reports whether it was there.
func (p *scriptPeer) take(b []byte) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbox, ok = bytes.CutPrefix(p.inbox, b)
	return ok
}

// gone reports whether the server's half has ended.
func (p *scriptPeer) gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// came says what has come to p, for a failure.
func (p *scriptPeer) came() string {
	inbox, ended := p.state()
	switch {
	case len(inbox) > 0:
		return nextLine(p.id, inbox)
	case p.gone():
		return "the end of the connection: " + reasonOf(p.reason)
	case ended:
		return "the end of the connection"
	}
	return "nothing"
}

// nextLine returns the line of a script that expects what comes next in inbox: a
// message, or bytes that are none.
func nextLine(id string, inbox []byte) string {
	in := bytes.NewReader(inbox)
	sender, err := chatroom.ReadFrame(in, -1)
	if err == nil {
		var body []byte
		if body, err = chatroom.ReadFrame(in, -1); err == nil {
			return fmt.Sprintf("%s< %s: %q", quoteWord(id), quoteWord(string(sender)), body)
		}
	}
	return bytesLine(id, inbox)
}

func bytesLine(id string, b []byte) string { return fmt.Sprintf("%s receives %q", quoteWord(id), b) }

// A scriptReason is a script's word for why a connection ended.
type scriptReason struct {
	word string
	err  error // nil for a goodbye
}

// scriptReasons are tried in turn, the more particular first.
var scriptReasons = []scriptReason{
	{"goodbye", nil},
	{"slow consumer", chatroom.ErrSlowConsumer}, // also a timeout
	{"server closed", chatroom.ErrServerClosed},
	{"kicked", chatroom.ErrKicked},
	{"name rejected", chatroom.ErrNameRejected},
	{"name taken", chatroom.ErrNameTaken},
	{"room full", chatroom.ErrRoomFull},
	{"bad header", chatroom.ErrBadHeader},
	{"too large", chatroom.ErrFrameTooLarge},
	{"timeout", os.ErrDeadlineExceeded},
	{"reset", syscall.ECONNRESET},
	{"half a frame", io.ErrUnexpectedEOF},
}

// reasonOf returns the REASON that a script gives for err.
func reasonOf(err error) string {
	for _, r := range scriptReasons {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return strconv.Quote(err.Error())
}

// checkReason returns why reason is none.
func checkReason(reason string) error {
	known := func(r scriptReason) bool { return r.word == reason }
	if strings.HasPrefix(reason, `"`) || slices.ContainsFunc(scriptReasons, known) {
		return nil
	}
	return fmt.Errorf("unknown reason %q (a part of an error's text is in quotation marks)", reason)
}

// isReason reports whether err is what a script calls reason.
func isReason(err error, reason string) bool {
	if part, unquoteErr := strconv.Unquote(reason); unquoteErr == nil {
		return err != nil && strings.Contains(err.Error(), part)
	}
	return reasonOf(err) == reason
}

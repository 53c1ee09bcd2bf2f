package chatroomtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/chatroom"
)

// A scriptPeer is a connection of a script's: its goroutines read all that comes
// while it is not stalled, and write in turn what the script sends, so that the
// script itself waits for neither.
type scriptPeer struct {
	// Fixed after construction.
	id   string
	nc   *pipe
	done chan struct{} // closed when the server's half has ended

	reason error // why it ended; valid when done is closed

	// Owned by the test's goroutine.
	told    bool          // a line has said that the connection ends
	endedAt int           // the line of the act by which the server's half had ended
	written chan struct{} // closed when all that was sent is written, or cannot be

	// mu guards the fields below.
	mu      sync.Mutex
	inbox   []byte
	ended   bool          // nothing more can come
	resumed chan struct{} // closed by resume; nil while it reads
}

// newScriptPeer connects to s. Its goroutines end with the connection, which the
// server's cleanup closes.
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

// stall stops reading.
func (p *scriptPeer) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed == nil {
		p.resumed = make(chan struct{})
		_ = p.nc.SetReadDeadline(longAgo) // fails only when the connection has ended
	}
}

// resume reads again.
func (p *scriptPeer) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed != nil {
		_ = p.nc.SetReadDeadline(time.Time{}) // as in stall
		close(p.resumed)
		p.resumed = nil
	}
}

// send writes b behind what has been sent before.
func (p *scriptPeer) send(b []byte) {
	before, after := p.written, make(chan struct{})
	p.written = after
	go func() { // ends with the connection
		defer close(after)
		<-before
		_, _ = p.nc.Write(b) // that it failed shows in what the others receive
	}()
}

// state returns what was received and not taken yet, and whether more can come.
func (p *scriptPeer) state() (inbox []byte, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inbox, p.ended
}

// take removes n bytes from the inbox.
func (p *scriptPeer) take(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbox = p.inbox[n:]
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

// nextLine returns what a script expects that expects what comes next, and how
// many bytes that is; none when nothing has come.
func (p *scriptPeer) nextLine() (line string, n int) {
	inbox, _ := p.state()
	if len(inbox) == 0 {
		return "", 0
	}
	in := bytes.NewReader(inbox)
	name, err := chatroom.ReadFrame(in, -1)
	var body []byte
	if err == nil {
		body, err = chatroom.ReadFrame(in, -1)
	}
	if err != nil {
		return fmt.Sprintf("%s receives %q", quoteWord(p.id), inbox), len(inbox)
	}
	return fmt.Sprintf("%s< %s: %s", quoteWord(p.id), quoteWord(string(name)), quoteBody(string(body))), len(inbox) - in.Len()
}

// came tells a failure what has come instead.
func (p *scriptPeer) came() string {
	if line, _ := p.nextLine(); line != "" {
		if len(line) > 300 {
			line = strings.ToValidUTF8(line[:300], "") + "..."
		}
		return line
	}
	switch _, ended := p.state(); {
	case p.gone():
		return "the end of the connection: " + reasonOf(p.reason)
	case ended:
		return "the end of the connection"
	}
	return "nothing"
}

// bytesSent returns what a sends act sends.
func (a act) bytesSent() []byte {
	if a.count == 0 {
		return []byte(a.body)
	}
	var b []byte
	for i := range a.count {
		b = chatroom.AppendFrame(b, a.numbered(i))
	}
	return b
}

// bytesReceived returns what a receives act expects.
func (a act) bytesReceived() []byte {
	if a.count == 0 {
		return []byte(a.body)
	}
	var b []byte
	for i := range a.count {
		b = chatroom.AppendFrame(chatroom.AppendFrame(b, []byte(a.name)), a.numbered(i))
	}
	return b
}

func (a act) numbered(i int) []byte {
	b := fmt.Append(nil, i)
	return append(b, strings.Repeat(".", a.size-len(b))...)
}

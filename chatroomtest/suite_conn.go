package chatroomtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"example.com/chatroom"
)

const (
	// suiteFrameLimit is the longest frame that a suite reads, in bytes.
	suiteFrameLimit = 8 << 20

	// frameHeaderLen is the length of a frame's header in bytes.
	frameHeaderLen = 10
)

// A suiteConn is a connection to the server under test that keeps all it is
// sent. It reads on a goroutine of its own, so that no server has to wait for
// it, unless it is paused.
type suiteConn struct {
	// Fixed after construction.
	r     *suiteRun
	label string // its name, or what it is for
	nc    net.Conn

	// r.mu guards the fields below.
	doing  string // what it last did or waits for
	frames []suiteFrame
	seen   map[string]int // how often a payload came
	broken error          // what came was no frame
	ended  error          // nothing more comes
	gate   chan struct{}  // closed by resume; nil while it reads
}

// A suiteFrame is a frame as it was sent, byte by byte.
type suiteFrame struct {
	header  [frameHeaderLen]byte
	payload []byte
}

// newConn takes nc over and begins to read it.
func (r *suiteRun) newConn(label string, nc net.Conn) *suiteConn {
	c := &suiteConn{r: r, label: label, nc: nc, doing: "has just connected", seen: map[string]int{}}
	r.mu.Lock()
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	r.running.Go(c.readLoop)
	return c
}

// readLoop ends with the connection.
func (c *suiteConn) readLoop() {
	br := bufio.NewReader(c.nc)
	for {
		f, err := readSuiteFrame(br)
		c.r.mu.Lock()
		switch {
		case err == nil:
			c.frames = append(c.frames, f)
			c.seen[string(f.payload)]++
		case errors.Is(err, chatroom.ErrBadHeader), errors.Is(err, chatroom.ErrFrameTooLarge):
			c.broken = err
		default:
			c.ended = err
		}
		c.r.notifyLocked()
		gate := c.gate
		c.r.mu.Unlock()
		if err != nil {
			break
		}
		if gate != nil {
			select {
			case <-gate:
			case <-c.r.ctx.Done():
			}
		}
	}
	_, err := io.Copy(io.Discard, br)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.ended == nil {
		if c.ended = err; err == nil {
			c.ended = io.EOF
		}
	}
	c.r.notifyLocked()
}

func readSuiteFrame(r io.Reader) (f suiteFrame, err error) {
	n, err := io.ReadFull(r, f.header[:])
	if n < len(f.header) {
		return f, err
	}
	f.payload, err = chatroom.ReadFrame(io.MultiReader(bytes.NewReader(f.header[:]), r), suiteFrameLimit)
	return f, err
}

// pause stops the reading, after at most one more frame, and returns what goes
// on with it.
func (c *suiteConn) pause() (resume func()) {
	gate := make(chan struct{})
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.gate = gate
	return func() {
		c.r.mu.Lock()
		defer c.r.mu.Unlock()
		c.gate = nil
		close(gate)
	}
}

// describeLocked tells of the connection in a sentence. r.mu must be held.
func (c *suiteConn) describeLocked() string {
	s := fmt.Sprintf("%s %s; %d frames have come", c.label, c.doing, len(c.frames))
	if n := len(c.frames); n > 0 {
		s += fmt.Sprintf(", the last %.40q", c.frames[n-1].payload)
	}
	if c.gate != nil {
		s += "; it does not read"
	}
	if c.broken != nil {
		s += fmt.Sprintf("; then came no frame: %v", c.broken)
	}
	if c.ended != nil {
		s += fmt.Sprintf("; its stream has ended: %v", c.ended)
	}
	return s
}

func (c *suiteConn) note(doing string) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.doing = doing
}

// write writes b and fails the case if that fails.
func (c *suiteConn) write(b []byte) {
	c.r.tb.Helper()
	if err := c.tryWrite(b); err != nil {
		c.r.fatalf("%s: write %.60q: %v", c.label, b, err)
	}
}

// tryWrite writes b to a server that may hang up. It may be called from any
// goroutine.
func (c *suiteConn) tryWrite(b []byte) error {
	c.note(fmt.Sprintf("writes %d bytes, which begin %.40q", len(b), b))
	_, err := c.nc.Write(b)
	if err != nil {
		c.note(fmt.Sprintf("could not write: %v", err))
		return err
	}
	c.note("waits for nothing")
	return nil
}

// send sends payloads, each as a frame, in one write.
func (c *suiteConn) send(payloads ...string) {
	c.r.tb.Helper()
	c.write(frames(payloads...))
}

func frames(payloads ...string) []byte {
	var b []byte
	for _, p := range payloads {
		b = chatroom.AppendFrame(b, []byte(p))
	}
	return b
}

// want waits until this payload has come, whatever came besides.
func (c *suiteConn) want(payload string) {
	c.r.tb.Helper()
	c.await(fmt.Sprintf("%.60q", payload), func() bool { return c.seen[payload] > 0 })
}

// await waits until cond, which is called with r.mu held.
func (c *suiteConn) await(what string, cond func() bool) {
	c.r.tb.Helper()
	c.note("waits for " + what)
	for {
		c.r.mu.Lock()
		ok, ended, state, changed := cond(), c.ended != nil || c.broken != nil, c.describeLocked(), c.r.changed
		c.r.mu.Unlock()
		switch {
		case ok:
			c.note("waits for nothing")
			return
		case ended:
			c.r.fatalf("%s", state)
		}
		select {
		case <-changed:
		case <-c.r.hung:
			c.r.fatalf("%s: want %s, and it did not come", c.label, what)
		}
	}
}

// wantClosed waits until the server has closed the connection.
func (c *suiteConn) wantClosed(after string) {
	c.r.tb.Helper()
	c.note("waits to be closed after " + after)
	for {
		c.r.mu.Lock()
		ended, changed := c.ended != nil, c.r.changed
		c.r.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-changed:
		case <-c.r.hung:
			c.r.fatalf("%s: want the connection closed after %s, but it is open", c.label, after)
		}
	}
}

// received returns the frames that have come so far.
func (c *suiteConn) received() []suiteFrame {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.frames[:len(c.frames):len(c.frames)]
}

// count returns how often this payload has come so far.
func (c *suiteConn) count(payload string) int {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.seen[payload]
}

// settle waits until cond, which is called with r.mu held, and reports false if
// that takes longer than retry.
func (r *suiteRun) settle(what string, retry time.Duration, cond func() bool) bool {
	r.tb.Helper()
	defer r.waitsFor(what)()
	timer := time.NewTimer(retry)
	defer timer.Stop()
	for {
		r.mu.Lock()
		ok, changed := cond(), r.changed
		r.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		case <-r.hung:
			r.fatalf("want %s, and it did not happen", what)
		}
	}
}

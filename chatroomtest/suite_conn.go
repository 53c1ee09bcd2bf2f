package chatroomtest

import (
	"errors"
	"fmt"
	"net"

	"example.com/chatroom"
)

const (
	// suiteFrameLimit is the longest payload that a suite reads, in bytes.
	suiteFrameLimit = 8 << 20

	// frameHeaderLen is the length of a frame's header in bytes.
	frameHeaderLen = 10
)

// A suiteConn is the suite's end of a connection. It keeps all that comes, and
// reads on a goroutine of its own, so that nobody has to wait for it, unless it
// is paused.
type suiteConn struct {
	// Fixed after construction.
	r     *suiteRun
	label string // whose it is
	nc    net.Conn

	// Owned by the test's goroutine.
	taken int // frames that next has returned

	// r.mu guards the fields below.
	frames []string       // as they came, header and payload
	seen   map[string]int // how often a payload came
	rest   []byte         // what came behind the last frame
	broken error          // the rest is no frame
	ended  error          // nothing more comes
	paused bool
}

// newConn takes over the connection that open returns, and begins to read it.
func (r *suiteRun) newConn(label string, open func() (net.Conn, error)) *suiteConn {
	r.tb.Helper()
	c := &suiteConn{r: r, label: label, seen: map[string]int{}}
	r.must(label+" to be connected", func() (err error) {
		if c.nc, err = open(); err == nil {
			r.closeAtEnd(c.nc)
		}
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	r.running.Go(c.readLoop)
	return c
}

// readLoop ends with the connection.
func (c *suiteConn) readLoop() {
	for {
		payload, err := chatroom.ReadFrame(suiteReader{c}, suiteFrameLimit)
		bad := errors.Is(err, chatroom.ErrBadHeader) || errors.Is(err, chatroom.ErrFrameTooLarge)
		c.r.mu.Lock()
		switch {
		case err != nil && !bad:
			c.ended = err
		case c.broken != nil: // all that follows is part of the rest
		case bad:
			c.broken = err
		default:
			c.frames = append(c.frames, string(c.rest))
			c.seen[string(payload)]++
			c.rest = nil
		}
		ended, paused := c.ended != nil, c.paused
		close(c.r.changed)
		c.r.changed = make(chan struct{})
		c.r.mu.Unlock()
		if ended {
			return
		}
		if paused {
			<-c.r.ctx.Done()
		}
	}
}

// A suiteReader reads c's connection, and keeps what it reads as c's rest.
type suiteReader struct{ c *suiteConn }

func (r suiteReader) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	r.c.r.mu.Lock()
	defer r.c.r.mu.Unlock()
	r.c.rest = append(r.c.rest, p[:n]...)
	return n, err
}

// pause stops the reading, after at most one more frame, until the case ends.
func (c *suiteConn) pause() {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.paused = true
}

// stateLocked says what has come. r.mu must be held.
func (c *suiteConn) stateLocked() string {
	s := fmt.Sprintf("%d frames have come", len(c.frames))
	if n := len(c.frames); n > 0 {
		s += fmt.Sprintf(", the last %.60q", c.frames[n-1])
	}
	if len(c.rest) > 0 {
		s += fmt.Sprintf("; then came %.60q", c.rest)
	}
	if c.broken != nil {
		s += fmt.Sprintf(", which is no frame: %v", c.broken)
	}
	if c.paused {
		s += "; it does not read"
	}
	if c.ended != nil {
		s += fmt.Sprintf("; its stream has ended: %v", c.ended)
	}
	return s
}

// write writes b and fails the case if that fails.
func (c *suiteConn) write(b []byte) {
	c.r.tb.Helper()
	if err := c.tryWrite(b); err != nil {
		c.r.fatalf("%s: write %.60q: %v", c.label, b, err)
	}
}

// tryWrite writes b to a peer that may hang up. It may be called from any
// goroutine.
func (c *suiteConn) tryWrite(b []byte) error {
	defer c.r.notes("%s writes %d bytes, which begin %.40q", c.label, len(b), b)()
	_, err := c.nc.Write(b)
	return err
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

// await waits until cond, which is called with r.mu held. It fails the case if
// the stream ends first, or goes on with what is no frame.
func (c *suiteConn) await(what string, cond func() bool) {
	c.r.tb.Helper()
	c.r.until(c.label, what, nil, cond, c)
}

// want waits until these payloads have come, whatever came besides.
func (c *suiteConn) want(payloads ...string) {
	c.r.tb.Helper()
	for _, p := range payloads {
		c.await(fmt.Sprintf("%.60q", p), func() bool { return c.seen[p] > 0 })
	}
}

// next waits for the next frame, and returns it as it came.
func (c *suiteConn) next() string {
	c.r.tb.Helper()
	c.await("a frame", func() bool { return len(c.frames) > c.taken })
	c.taken++
	return c.received()[c.taken-1]
}

// wantStrict fails the case unless all that has come is padded as it must be.
func (c *suiteConn) wantStrict() {
	c.r.tb.Helper()
	for _, f := range c.received() {
		if want := string(frames(f[frameHeaderLen:])); f != want {
			c.r.fatalf("%s: want the frame %.60q, got %.60q", c.label, want, f)
		}
	}
}

// wantClosed waits until the peer has closed the connection.
func (c *suiteConn) wantClosed(after string) {
	c.r.tb.Helper()
	c.r.until(c.label, "its connection to be closed after "+after, nil, func() bool { return c.ended != nil })
}

// received returns the frames that have come so far.
func (c *suiteConn) received() []string {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.frames[:len(c.frames):len(c.frames)]
}

// payloads returns the payloads that have come so far.
func (c *suiteConn) payloads() []string {
	var all []string
	for _, f := range c.received() {
		all = append(all, f[frameHeaderLen:])
	}
	return all
}

// wantAtMost fails the case if one of these payloads has come more than n times.
func (c *suiteConn) wantAtMost(n int, payloads ...string) {
	c.r.tb.Helper()
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	for _, p := range payloads {
		if came := c.seen[p]; came > n {
			c.r.fatalf("%s: want %.60q to come %d times at most, and it came %d times", c.label, p, n, came)
		}
	}
}

package chatroomtest

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// latencyBuffer is how much can be under way in a connection of Latency, in
	// bytes, and so held in memory.
	latencyBuffer = 1 << 20

	// latencyLinger is how long after its arrival what is under way at Close may
	// take to be read by the peer.
	latencyLinger = time.Second
)

// Latency returns nc with a delay of d before the peer sees what is written, as of
// a long line: in order, with the same cuts, and without holding the writer, who
// is told at once that the write went well. Up to 1 MiB is under way; what is
// more waits for room, and so does respect the deadline and Close, and returns
// how much went out. An error of nc's drops what is under way, and is what later
// writes return. Give both ends a latency to delay both directions. With zero or
// less there is no delay, and it returns nc itself.
//
// The end travels like the data. After Close nothing is read or written on this
// end, and Close returns at once; what was written before still arrives, each
// byte d after its write, and the peer finds the connection closed d after
// Close. What it has not taken a second after that is dropped. The same goes for
// CloseWrite, which only ends the direction. [Reset] is at once, and drops what
// is under way.
//
// Nothing runs while nothing is under way. The connection can be used as nc can,
// its methods at once, and belongs to the caller as nc did. Pieces of concurrent
// writes are not mixed. Below it, nc must have deadlines that work.
func Latency(nc net.Conn, d time.Duration) net.Conn {
	if d <= 0 {
		return nc
	}
	c := &latencyConn{fault: newFault(nc), delay: d}
	c.changed.L = &c.mu
	return c
}

type latencyConn struct {
	fault

	// Fixed after construction.
	delay time.Duration

	// mu guards the fields below. Nobody holds it while waiting or across I/O.
	mu         sync.Mutex
	changed    sync.Cond // of any of them
	closed     bool      // by Close or Reset
	ended      bool      // by CloseWrite
	err        error     // of nc, which ended the deliveries
	by         deadline  // of writes that wait for room
	underWay   []arrival
	held       int  // bytes under way
	delivering bool // deliver runs, or a timer will run it
}

// An arrival is what the peer is to see at a time.
type arrival struct {
	at   time.Time
	data []byte
	end  func() error // in place of data
}

func (c *latencyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && c.isClosed() {
		err = opError("read", c, net.ErrClosed)
	}
	return n, err
}

func (c *latencyConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *latencyConn) Write(p []byte) (n int, err error) {
	defer c.takeTurn()()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return n, opError("write", c, net.ErrClosed)
		case c.ended:
			return n, opError("write", c, syscall.EPIPE)
		case c.by.passed:
			return n, opError("write", c, os.ErrDeadlineExceeded)
		case c.err != nil:
			return n, c.err
		}
		if m := min(len(p)-n, latencyBuffer-c.held); m > 0 {
			c.sendLocked(arrival{data: append([]byte{}, p[n:n+m]...)})
			n += m
		}
		if n == len(p) {
			return n, nil
		}
		c.changed.Wait()
	}
}

// sendLocked puts something under way. c.mu must be held.
func (c *latencyConn) sendLocked(a arrival) {
	a.at = time.Now().Add(c.delay)
	c.underWay = append(c.underWay, a)
	c.held += len(a.data)
	if !c.delivering {
		c.delivering = true
		time.AfterFunc(c.delay, c.deliver)
	}
}

// deliver passes on what has arrived. It runs on a goroutine of a timer's, one at
// a time, and ends when there is nothing to pass on at the moment.
func (c *latencyConn) deliver() {
	for {
		a, ok := c.next()
		if !ok {
			return
		}
		var err error
		if a.end != nil {
			err = a.end()
		} else {
			_, err = c.Conn.Write(a.data)
		}
		c.delivered(a, err)
	}
}

// next returns what has arrived. If that is nothing it reports false, and deliver
// must end.
func (c *latencyConn) next() (arrival, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.underWay) == 0 {
		c.delivering = false
		return arrival{}, false
	}
	a := c.underWay[0]
	if wait := time.Until(a.at); wait > 0 {
		time.AfterFunc(wait, c.deliver)
		return arrival{}, false
	}
	c.underWay = c.underWay[1:]
	return a, true
}

// delivered accounts for an arrival. When nc has failed, what is behind it is
// dropped, but for the end.
func (c *latencyConn) delivered(a arrival, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held -= len(a.data)
	if err != nil {
		c.err = err
		c.held = 0
		var end []arrival
		if n := len(c.underWay); c.closed && n > 0 {
			end = c.underWay[n-1:]
		}
		c.underWay = end
	}
	c.changed.Broadcast()
}

func (c *latencyConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !canCloseWrite(c.Conn):
		return CloseWrite(c.Conn) // says why not
	case c.closed:
		return opError("close", c, net.ErrClosed)
	case !c.ended:
		c.ended = true
		c.sendLocked(arrival{end: func() error { return CloseWrite(c.Conn) }})
		c.changed.Broadcast()
	}
	return nil
}

func (c *latencyConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closeLocked() {
		return opError("close", c, net.ErrClosed)
	}
	c.sendLocked(arrival{end: c.Conn.Close})
	// These fail only when the connection has ended.
	_ = c.Conn.SetReadDeadline(longAgo)
	_ = c.Conn.SetWriteDeadline(time.Now().Add(c.delay + latencyLinger))
	return nil
}

func (c *latencyConn) reset() error {
	c.mu.Lock()
	closed := !c.closeLocked()
	c.underWay, c.held = nil, 0
	c.mu.Unlock()
	err := Reset(c.Conn)
	if closed {
		return opError("close", c, net.ErrClosed)
	}
	return err
}

// closeLocked ends this end's calls, and reports false if they had ended before.
// c.mu must be held.
func (c *latencyConn) closeLocked() bool {
	if c.closed {
		return false
	}
	c.closed = true
	c.by.stopLocked()
	c.changed.Broadcast()
	return true
}

func (c *latencyConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *latencyConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return opError("set", c, net.ErrClosed)
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *latencyConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return opError("set", c, net.ErrClosed)
	}
	c.by.setLocked(&c.changed, t)
	return nil
}

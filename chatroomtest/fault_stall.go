package chatroomtest

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A StallConn is a connection that stops reading or writing when told, and goes on
// when told. [Stall] makes one. All methods may be called at once.
type StallConn struct {
	fault

	reads, writes stall
}

var _ net.Conn = (*StallConn)(nil)

// Stall returns nc with methods that stop it, as a peer that hangs does. At first
// it is not stalled, and then differs from nc in nothing.
//
// Stalled calls wait on this end; the peer finds that nobody reads, or that
// nothing comes, and not even the end of nc is noticed. They still end with their
// deadlines, with Close and with [Reset]. The connection belongs to the caller as
// nc did. A call that waits in nc when it is stalled is called back by a deadline
// of nc's, which must work; TLS, which cannot write after one, belongs on top of
// a StallConn, not below it.
func Stall(nc net.Conn) *StallConn {
	c := &StallConn{fault: newFault(nc)}
	c.reads.init(nc.SetReadDeadline)
	c.writes.init(nc.SetWriteDeadline)
	return c
}

// StallReads stops reading. When it returns, no read takes anything until
// [StallConn.ResumeReads], not even one that was under way. It does nothing if
// reads are stalled already. It waits for nothing but reads under way to notice.
func (c *StallConn) StallReads() { c.reads.stop() }

// ResumeReads lets reads go on, those that wait included.
func (c *StallConn) ResumeReads() { c.reads.resume() }

// StallWrites stops writing. When it returns, no write passes anything on until
// [StallConn.ResumeWrites]; one that was under way has passed on some of its bytes
// and waits with the rest. It does nothing if writes are stalled already. It waits
// for nothing but writes under way to notice.
func (c *StallConn) StallWrites() { c.writes.stop() }

// ResumeWrites lets writes go on, those that wait included.
func (c *StallConn) ResumeWrites() { c.writes.resume() }

// Read reads from the connection below, unless and until reads are stalled.
func (c *StallConn) Read(p []byte) (int, error) {
	for {
		stops, err := c.reads.enter()
		if err != nil {
			return 0, opError("read", c, err)
		}
		n, err := c.Conn.Read(p)
		if again := c.reads.leave(stops, err); !again {
			return n, err
		} else if n > 0 {
			return n, nil
		}
	}
}

// Write writes to the connection below, unless and until writes are stalled.
// Concurrent writes go out one after the other. With an error it returns how
// much went out.
func (c *StallConn) Write(p []byte) (n int, err error) {
	defer c.takeTurn()()
	for {
		stops, err := c.writes.enter()
		if err != nil {
			return n, opError("write", c, err)
		}
		m, err := c.Conn.Write(p[n:])
		n += m
		if again := c.writes.leave(stops, err); !again {
			return n, err
		} else if n > 0 && n == len(p) {
			return n, nil
		}
	}
}

// Close closes the connection below. Calls that are stalled return an error that
// matches [net.ErrClosed].
func (c *StallConn) Close() error {
	c.endStalls()
	return c.Conn.Close()
}

func (c *StallConn) reset() error {
	c.endStalls()
	return Reset(c.Conn)
}

func (c *StallConn) endStalls() {
	c.reads.end()
	c.writes.end()
}

// SetDeadline sets both deadlines.
func (c *StallConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads, stalled or not.
func (c *StallConn) SetReadDeadline(t time.Time) error { return c.reads.setDeadline(t) }

// SetWriteDeadline sets the deadline of writes, stalled or not.
func (c *StallConn) SetWriteDeadline(t time.Time) error { return c.writes.setDeadline(t) }

// A stall is where the calls of one direction wait.
type stall struct {
	// Fixed after construction.
	setBelow func(time.Time) error // sets the connection's deadline

	// mu guards the fields below. Nobody holds it while waiting.
	mu      sync.Mutex
	changed sync.Cond // of any of them
	stalled bool
	closed  bool
	stops   int       // how often it was stalled
	inside  int       // calls in the connection below
	until   time.Time // the caller's deadline
	by      deadline  // the same
}

func (s *stall) init(setBelow func(time.Time) error) {
	s.setBelow = setBelow
	s.changed.L = &s.mu
}

// enter waits until calls may go to the connection below, and says how often they
// have been stopped.
func (s *stall) enter() (stops int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.stalled {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case s.by.passed:
			return 0, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
	s.inside++
	return s.stops, nil
}

// leave ends what enter began, and reports whether err is only that the call was
// stopped.
func (s *stall) leave(stops int, err error) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
	s.changed.Broadcast()
	return stops != s.stops && errors.Is(err, os.ErrDeadlineExceeded)
}

func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled || s.closed {
		return
	}
	s.stalled = true
	s.stops++
	_ = s.setBelow(longAgo) // fails only when the connection has ended
	for s.stalled && !s.closed && s.inside > 0 {
		s.changed.Wait()
	}
}

func (s *stall) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stalled || s.closed {
		return
	}
	s.stalled = false
	_ = s.setBelow(s.until) // as in stop
	s.changed.Broadcast()
}

func (s *stall) setDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled && !s.closed {
		s.until = t
		s.by.setLocked(&s.changed, t)
		return nil
	}
	err := s.setBelow(t)
	if err == nil {
		s.until = t
		s.by.setLocked(&s.changed, t)
	}
	return err
}

// end wakes who is stalled, for the connection is closed.
func (s *stall) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.by.stopLocked()
	s.changed.Broadcast()
}

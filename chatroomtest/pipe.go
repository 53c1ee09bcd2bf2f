package chatroomtest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Pipe returns the two ends of a connection in memory that holds up to size
// bytes in each direction: a write waits only for what does not fit. With a size
// of zero or less it holds none, and a write waits until all of it is read, as
// with [net.Pipe]. Memory is taken by the first write. The ends belong to the
// caller, who closes both; their addresses are the [Addr] "pipe:a" and "pipe:b".
//
// All methods of an end may be called at once, and concurrent writes come out one
// after the other. Waiting is durably blocking in a [testing/synctest] bubble.
// Deadlines may be set at any time, and apply to calls that wait already; a write
// that meets one returns how much went out, and the next continues there. Reads
// and writes of no bytes do not wait.
//
// Errors are those of the net package's connections: [net.ErrClosed] after an
// end's own Close, [os.ErrDeadlineExceeded], and after the other end's Close
// [syscall.EPIPE] for writes and, behind all that was written, [io.EOF] for
// reads. What is unread at an end that closes is dropped, which the other end is
// not told.
//
// Each end has a method CloseWrite, which ends the direction it writes; see
// [CloseWrite], and [Reset] for an end without a goodbye.
func Pipe(size int) (a, b net.Conn) {
	near, far := newPipe(size, Addr(network+":a"), Addr(network+":b"))
	return halfCloser{near}, halfCloser{far}
}

// A conn is one end of a connection in memory.
type conn struct {
	in, out       *flow
	local, remote net.Addr
}

var (
	_ net.Conn     = (*conn)(nil)
	_ syscall.Conn = (*conn)(nil)
)

func newPipe(size int, nearAddr, farAddr net.Addr) (near, far *conn) {
	there, back := newFlow(size), newFlow(size)
	near = &conn{in: back, out: there, local: nearAddr, remote: farAddr}
	far = &conn{in: there, out: back, local: farAddr, remote: nearAddr}
	return near, far
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, opError("read", c, err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, opError("write", c, err)
}

func (c *conn) Close() error {
	if !c.out.endWriter(nil) {
		return opError("close", c, net.ErrClosed)
	}
	c.in.endReader(syscall.EPIPE)
	return nil
}

// reset closes the connection so that the other end finds it reset by its peer.
func (c *conn) reset() error {
	if !c.out.endWriter(syscall.ECONNRESET) {
		return opError("close", c, net.ErrClosed)
	}
	c.in.endReader(syscall.ECONNRESET)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	return opError("set", c, c.in.setReadDeadline(t))
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return opError("set", c, c.out.setWriteDeadline(t))
}

// SyscallConn returns [errors.ErrUnsupported], for there is no file. That there is
// such a method tells chatroom that writes can go on after a deadline, as those
// of the system's connections can, and so need not each have a timer.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// A halfCloser is a conn that can end one direction.
type halfCloser struct{ *conn }

// CloseWrite ends the direction that this end writes.
func (c halfCloser) CloseWrite() error {
	return opError("close", c, c.out.endWrites())
}

// opError dresses err, of nc, as the net package does. An io.EOF stays bare.
func opError(op string, nc net.Conn, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	oe := &net.OpError{Op: op, Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
	if oe.Source != nil {
		oe.Net = oe.Source.Network()
	}
	return oe
}

// A flow is one direction of a connection in memory: what is in buf and, behind
// it, what the write under way has lent.
type flow struct {
	// mu guards the fields below. Nobody holds it while waiting.
	mu      sync.Mutex
	changed sync.Cond // of any of them

	buf   []byte // a ring of size bytes; made by the first write
	size  int
	first int    // index of the oldest byte in buf
	held  int    // how many bytes buf holds
	lent  []byte // the rest of the write under way

	writing bool  // there is a write under way; others wait for their turn
	ended   bool  // nothing more is written: behind the last byte is the end
	readErr error // what reads return, whatever is held
	sendErr error // what writes return

	readBy, writeBy deadline
}

func newFlow(size int) *flow {
	f := &flow{size: max(size, 0)}
	f.changed.L = &f.mu
	return f
}

func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.readErr != nil:
			return 0, f.readErr
		case f.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		if n := f.takeLocked(p); n > 0 {
			return n, nil
		}
		if f.ended {
			return 0, io.EOF
		}
		f.changed.Wait()
	}
}

// takeLocked moves the oldest bytes to p, and what is lent up behind them. What a
// write has lent that has failed stays with it, though it may not have noticed.
// f.mu must be held.
func (f *flow) takeLocked(p []byte) (n int) {
	for n < len(p) && f.held > 0 {
		m := copy(p[n:], f.buf[f.first:min(f.first+f.held, f.size)])
		f.first, f.held = (f.first+m)%f.size, f.held-m
		n += m
	}
	if f.writeErrLocked() == nil {
		m := copy(p[n:], f.lent)
		f.lent = f.lent[m:]
		n += m
		f.fillLocked()
	}
	if n > 0 {
		f.changed.Broadcast()
	}
	return n
}

// fillLocked moves what fits of what is lent into the buffer. f.mu must be held.
func (f *flow) fillLocked() {
	if len(f.lent) > 0 && f.buf == nil {
		f.buf = make([]byte, f.size)
	}
	for len(f.lent) > 0 && f.held < f.size {
		at := (f.first + f.held) % f.size
		m := copy(f.buf[at:min(at+f.size-f.held, f.size)], f.lent)
		f.lent, f.held = f.lent[m:], f.held+m
	}
}

func (f *flow) write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.writing && len(p) > 0 && f.writeErrLocked() == nil {
		f.changed.Wait()
	}
	if err := f.writeErrLocked(); err != nil || len(p) == 0 {
		return 0, err
	}
	f.writing, f.lent = true, p
	f.fillLocked()
	f.changed.Broadcast()
	for len(f.lent) > 0 && f.writeErrLocked() == nil {
		f.changed.Wait()
	}
	unsent := len(f.lent)
	f.writing, f.lent = false, nil
	f.changed.Broadcast() // it is another's turn
	if unsent == 0 {
		return len(p), nil
	}
	return len(p) - unsent, f.writeErrLocked()
}

// writeErrLocked returns why writes fail now, or nil. f.mu must be held.
func (f *flow) writeErrLocked() error {
	if f.sendErr == nil && f.writeBy.passed {
		return os.ErrDeadlineExceeded
	}
	return f.sendErr
}

// endWriter closes the writing end, and reports false if it was closed before.
// The reader finds the end behind what was written or, if reset is not nil, that
// error at once.
func (f *flow) endWriter(reset error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sendErr == net.ErrClosed {
		return false
	}
	f.sendErr, f.ended = net.ErrClosed, true
	f.writeBy.stopLocked()
	if reset != nil && f.readErr == nil {
		f.readErr = reset
		f.dropLocked()
	}
	f.changed.Broadcast()
	return true
}

// endReader closes the reading end. The writer finds that err.
func (f *flow) endReader(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readErr = net.ErrClosed
	if f.sendErr == nil {
		f.sendErr = err
	}
	f.readBy.stopLocked()
	f.dropLocked()
	f.changed.Broadcast()
}

// dropLocked forgets what the buffer holds. f.mu must be held.
func (f *flow) dropLocked() { f.buf, f.first, f.held = nil, 0, 0 }

// endWrites ends the flow behind what was written.
func (f *flow) endWrites() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.sendErr {
	case nil:
		f.sendErr, f.ended = syscall.EPIPE, true
		f.changed.Broadcast()
		return nil
	case syscall.EPIPE: // there is nobody to tell, or it has been told
		return nil
	}
	return f.sendErr
}

func (f *flow) setReadDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readErr == net.ErrClosed {
		return net.ErrClosed
	}
	f.readBy.setLocked(&f.changed, t)
	return nil
}

func (f *flow) setWriteDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sendErr == net.ErrClosed {
		return net.ErrClosed
	}
	f.writeBy.setLocked(&f.changed, t)
	return nil
}

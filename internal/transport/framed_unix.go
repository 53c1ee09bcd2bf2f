//go:build unix

package transport

import (
	"syscall"
	"time"
)

// A framedSocket is a framed connection on top of a socket, and what polls it.
type framedSocket struct {
	polled
	sock frameSocket

	space []byte // where the read under way reads to; owned by the reader
}

// newFramed returns nc as a Conn if it is on top of a socket of the system's, and nil if
// not.
func newFramed(nc Framed, writeTimeout time.Duration) Conn {
	below := nc.Below()
	raw := rawConn(below)
	if raw == nil {
		return nil
	}
	limitUnsent(below)
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) })
	c := new(framedSocket)
	c.sock.Conn, c.sock.raw, c.sock.framed, c.sock.readyFunc = below, raw, nc, c.ready
	c.polled.init(&c.sock, writeTimeout)
	c.nc = nc
	return c
}

// Read takes off the frames when it is out of the system's wait for the socket, and gets there
// by as few calls as it can: what an idle member's goroutine does, such as to take the answer to
// a ping, fits into a small stack.
func (c *framedSocket) Read(b Buffer) (n int, err error) {
	f := c.sock.framed
	for err = f.BeginRead(); n == 0 && err == nil; {
		c.in, c.read = b, 0
		if err = c.sock.raw.Read(c.sock.readyFunc); err != nil {
			err = c.sock.rawError("read", err)
		} else {
			err = c.readErr
		}
		n, err = f.Unframe(c.space[:c.read], err)
		c.space = nil
	}
	f.EndRead()
	return n, err
}

// ready makes one read, and reports whether there was anything to read.
func (c *framedSocket) ready(fd uintptr) bool {
	c.space = c.in.Space(true)
	if c.read, c.readErr = c.sock.framed.Early(c.space), nil; c.read > 0 {
		return true
	}
	c.sock.fd = fd
	c.read, c.readErr = c.sock.TryRead(c.space)
	if c.readErr == ErrWouldBlock {
		c.space = nil
		c.in.Park()
		return false
	}
	return true
}

func (c *framedSocket) CheckPeer() error { return checkPeer(c.sock.Conn, c.writeTimeout) }

// A frameSocket is the socket below a framed connection, as it is written to.
type frameSocket struct {
	socket
	framed Framed
}

func (s *frameSocket) SetDeadline(t time.Time) error      { return s.framed.SetDeadline(t) }
func (s *frameSocket) SetReadDeadline(t time.Time) error  { return s.framed.SetReadDeadline(t) }
func (s *frameSocket) SetWriteDeadline(t time.Time) error { return s.framed.SetWriteDeadline(t) }

func (s *frameSocket) TryWrite(runs [][]byte) (int, error) {
	return s.framed.WriteFrames(runs, false, (*cutSocket)(&s.socket))
}

func (s *frameSocket) AwaitWrite(runs [][]byte) (int, error) {
	return s.framed.WriteFrames(runs, true, (*cutSocket)(&s.socket))
}

// A cutSocket is a socket to which a write may end anywhere in its runs. Who gets frames waits
// for the rest of one.
type cutSocket socket

func (s *cutSocket) TryWrite(runs [][]byte) (int, error) {
	return (*socket)(s).write(runs, false, true)
}
func (s *cutSocket) AwaitWrite(runs [][]byte) (int, error) {
	return (*socket)(s).write(runs, true, true)
}

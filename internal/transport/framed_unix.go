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
	s := &c.sock
	s.Conn, s.raw, s.readyFunc = below, raw, s.ready
	s.framed, s.tryReadFunc, s.tryWriteFunc, s.awaitWriteFunc = nc, s.socket.TryRead, s.socket.TryWrite, s.socket.AwaitWrite
	c.polled.init(s, writeTimeout)
	c.nc = nc
	return c
}

func (c *framedSocket) CheckPeer() error { return checkPeer(c.sock.Conn, c.writeTimeout) }

// A frameSocket is the socket below a framed connection.
type frameSocket struct {
	socket
	framed Framed

	tryReadFunc                  func(p []byte) (int, error)
	tryWriteFunc, awaitWriteFunc func(runs [][]byte) (int, error)
}

func (s *frameSocket) SetDeadline(t time.Time) error      { return s.framed.SetDeadline(t) }
func (s *frameSocket) SetReadDeadline(t time.Time) error  { return s.framed.SetReadDeadline(t) }
func (s *frameSocket) SetWriteDeadline(t time.Time) error { return s.framed.SetWriteDeadline(t) }

func (s *frameSocket) AwaitRead(try func() bool) error {
	s.framed.BeginRead()
	defer s.framed.EndRead()
	if err := s.socket.AwaitRead(try); err != nil {
		return s.framed.ReadError(err)
	}
	return nil
}

func (s *frameSocket) TryRead(p []byte) (int, error) {
	n, err := s.framed.ReadFrames(p, s.tryReadFunc)
	if err != nil && err != ErrWouldBlock {
		err = s.framed.ReadError(err)
	}
	return n, err
}

func (s *frameSocket) TryWrite(runs [][]byte) (int, error) {
	return s.framed.WriteFrames(runs, false, s.tryWriteFunc)
}

func (s *frameSocket) AwaitWrite(runs [][]byte) (int, error) {
	return s.framed.WriteFrames(runs, true, s.awaitWriteFunc)
}

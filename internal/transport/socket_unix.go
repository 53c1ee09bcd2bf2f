//go:build unix

package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// newSocket returns nc as a Conn if it is a TCP or Unix socket of the system's,
// and nil if it is anything else, also if it has one inside: what is around it
// may do more than read and write when it reads and writes.
func newSocket(nc net.Conn, writeTimeout time.Duration) Conn {
	raw := rawConn(nc)
	if raw == nil {
		return nil
	}
	limitUnsent(nc)
	// A program that has had the descriptor by (*os.File).Fd has made it block.
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) })
	c := new(polledSocket)
	c.sock.init(nc, raw)
	c.polled.init(&c.sock, writeTimeout)
	c.nc = nc // with all that it can do
	return c
}

// A polledSocket is a socket and what polls it, in one piece of memory.
type polledSocket struct {
	polled
	sock socket
}

func (c *polledSocket) CheckPeer() error { return checkPeer(c.nc, c.writeTimeout) }

func rawConn(nc net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := nc.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		if c.LocalAddr().Network() != "unix" {
			return nil // it has messages of its own
		}
		raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return raw
}

// A socket is a stream of the system's.
type socket struct {
	net.Conn
	raw syscall.RawConn

	// The read under way. Whoever reads owns these.
	fd    uintptr
	try   func() bool
	ready func(fd uintptr) bool // isReady, bound once, so that a read needs no memory
}

func (s *socket) init(nc net.Conn, raw syscall.RawConn) {
	s.Conn, s.raw = nc, raw
	s.ready = s.isReady
}

func (s *socket) AwaitRead(try func() bool) error {
	s.try = try
	return s.rawError("read", s.raw.Read(s.ready))
}

func (s *socket) isReady(fd uintptr) bool {
	s.fd = fd
	return s.try()
}

func (s *socket) TryRead(p []byte) (int, error) {
	n, errno := readFD(s.fd, p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, ErrWouldBlock
	case errno != 0:
		return 0, s.opError("read", os.NewSyscallError("read", errno))
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (s *socket) TryWrite(runs [][]byte) (int, error) { return s.write(runs, false) }

func (s *socket) AwaitWrite(runs [][]byte) (int, error) { return s.write(runs, true) }

// A rawWrite is one write to a socket.
type rawWrite struct {
	runs  [][]byte
	waits bool
	write func(fd uintptr) bool // do, bound once, so that a write needs no memory
	n     int
	errno syscall.Errno
	vector
}

var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.write = w.do
	return w
}}

func (s *socket) write(runs [][]byte, waits bool) (int, error) {
	w := rawWrites.Get().(*rawWrite)
	w.runs, w.waits, w.n, w.errno = runs, waits, 0, 0
	err := s.raw.Write(w.write)
	n, errno := w.n, w.errno
	w.runs = nil
	rawWrites.Put(w)
	switch {
	case err != nil:
		return n, s.rawError("write", err)
	case errno == syscall.EAGAIN:
		return 0, ErrWouldBlock
	case errno != 0:
		return 0, s.opError("write", os.NewSyscallError("write", errno))
	}
	return n, nil
}

// do makes the write, and reports whether it is over.
func (w *rawWrite) do(fd uintptr) bool {
	w.n, w.errno = w.writeFD(fd, w.runs)
	return !w.waits || w.errno != syscall.EAGAIN
}

// SetLinger is that of TCP. What a Unix socket has not sent goes with it.
func (s *socket) SetLinger(sec int) error {
	if c, ok := s.Conn.(lingerer); ok {
		return c.SetLinger(sec)
	}
	return nil
}

// rawError makes err look as if the connection itself had returned it.
func (s *socket) rawError(op string, err error) error {
	raw, ok := err.(*net.OpError) //nolint:errorlint // RawConn returns it bare, and errors.As would need memory
	if !ok {
		return err
	}
	named := *raw
	named.Op = op
	return &named
}

func (s *socket) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: s.LocalAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

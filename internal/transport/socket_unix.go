//go:build unix

package transport

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// newSocket returns nc as a Conn if it is a TCP or Unix socket of the system's, and
// nil if it is anything else. What only has a socket inside may do more than read
// and write it.
func newSocket(nc net.Conn, writeTimeout time.Duration) Conn {
	raw := rawConn(nc)
	if raw == nil {
		return nil
	}
	limitUnsent(nc)
	// A program that has called (*os.File).Fd has made it a blocking one.
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) })
	c := new(polledSocket)
	c.sock.Conn, c.sock.raw, c.sock.readyFunc = nc, raw, c.sock.ready
	c.polled.init(&c.sock, writeTimeout)
	c.nc = nc // with all that it can do
	return c
}

// A polledSocket is a socket and what polls it, in one piece of memory.
type polledSocket struct {
	polled
	sock socket
}

func rawConn(nc net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := nc.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		if c.LocalAddr().Network() != "unix" {
			return nil // it sends datagrams or packets
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

	// The read under way, owned by the reader.
	fd        uintptr
	try       func() bool
	readyFunc func(fd uintptr) bool
}

func (s *socket) AwaitRead(try func() bool) error {
	s.try = try
	return s.rawError("read", s.raw.Read(s.readyFunc))
}

func (s *socket) ready(fd uintptr) bool {
	s.fd = fd
	return s.try()
}

func (s *socket) TryRead(p []byte) (int, error) {
	n, errno := readFD(s.fd, p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, ErrWouldBlock
	case errno != 0:
		return 0, s.sysError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (s *socket) TryWrite(runs [][]byte) (int, error) { return s.write(runs, false, false) }

func (s *socket) AwaitWrite(runs [][]byte) (int, error) { return s.write(runs, true, false) }

// A rawWrite is one write to a socket.
type rawWrite struct {
	runs   [][]byte
	waits  bool
	cut    bool // it may end anywhere in runs
	n      int
	errno  syscall.Errno
	doFunc func(fd uintptr) bool
	vector
}

// rawWrites holds *rawWrite.
var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.doFunc = w.do
	return w
}}

func (s *socket) write(runs [][]byte, waits, cut bool) (int, error) {
	w := rawWrites.Get().(*rawWrite)
	w.runs, w.waits, w.cut, w.n, w.errno = runs, waits, cut, 0, 0
	err := s.raw.Write(w.doFunc)
	n, errno := w.n, w.errno
	w.runs = nil
	rawWrites.Put(w)
	switch {
	case err != nil:
		return n, s.rawError("write", err)
	case errno == syscall.EAGAIN:
		return 0, ErrWouldBlock
	case errno != 0:
		return 0, s.sysError("write", errno)
	}
	return n, nil
}

// do makes the write, and reports whether it is over.
func (w *rawWrite) do(fd uintptr) bool {
	w.n, w.errno = w.writeFD(fd, w.runs, w.cut)
	return !w.waits || w.errno != syscall.EAGAIN
}

// SetLinger does nothing on a Unix socket, whose Close drops what is unsent anyway.
func (s *socket) SetLinger(sec int) error {
	if c, ok := s.Conn.(lingerer); ok {
		return c.SetLinger(sec)
	}
	return nil
}

// rawError makes err look as if the connection itself had returned it.
func (s *socket) rawError(op string, err error) error {
	raw, ok := err.(*net.OpError) //nolint:errorlint // RawConn returns it bare, and errors.As needs memory
	if !ok {
		return err
	}
	named := *raw
	named.Op = op
	return &named
}

// sysError makes errno look as if the connection itself had returned it.
func (s *socket) sysError(op string, errno syscall.Errno) error {
	return &net.OpError{
		Op: op, Net: s.LocalAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(),
		Err: os.NewSyscallError(op, errno),
	}
}

// setNotSentLowat sets TCP_NOTSENT_LOWAT, which package syscall does not have, and
// reports whether the system has it. (TCP_USER_TIMEOUT would find a peer that has
// vanished, but it also ends a connection that makes steady progress if its window
// never has room for a whole segment.)
func setNotSentLowat(c *net.TCPConn, bytes int) bool {
	var lowat int
	switch runtime.GOOS {
	case "linux", "android":
		lowat = 25 // of linux/tcp.h
	case "darwin", "ios":
		lowat = 0x201 // of netinet/tcp.h
	default:
		return false
	}
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, lowat, bytes)
		})
	}
	return true
}

//go:build unix

package chatroom

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// rawConn returns nc's file descriptor if nc is a stream of the system's, and nil
// if it is anything else, which may do more than read and write when it reads and
// writes.
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

// A readiness reads for a frameReader when there is something to read, and holds
// no buffer until then. It is used by one goroutine at a time.
type readiness struct {
	in   *frameReader
	read func(fd uintptr) bool // tryRead, bound once
	n    int
	err  error
}

func (r *readiness) init(in *frameReader) {
	r.in, r.read = in, r.tryRead
}

// fill does what frameReader.fill does, of raw.
func (r *readiness) fill(raw syscall.RawConn) error {
	r.n, r.err = 0, nil
	if err := raw.Read(r.read); err != nil {
		return rawError("read", err)
	}
	return r.in.filled(r.n, r.err)
}

// tryRead makes one read, and reports whether there was anything to read.
func (r *readiness) tryRead(fd uintptr) bool {
	r.in.makeReady()
	n, err := ignoringEINTR(syscall.Read, fd, r.in.buf[r.in.wr:])
	switch {
	case err == syscall.EAGAIN:
		r.in.park()
		return false
	case err != nil:
		r.err = os.NewSyscallError("read", err)
	case n == 0:
		r.err = io.EOF
	default:
		r.n = n
	}
	return true
}

// A rawWrite is a write that does not wait.
type rawWrite struct {
	p     []byte
	write func(fd uintptr) bool // do, bound once
	n     int
	err   error
}

var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.write = w.do
	return w
}}

// tryWrite writes as much of p as raw takes at once.
func tryWrite(raw syscall.RawConn, p []byte) (int, error) {
	w := rawWrites.Get().(*rawWrite)
	w.p, w.n, w.err = p, 0, nil
	err := raw.Write(w.write)
	if err == nil {
		err = w.err
	}
	n := w.n
	w.p = nil
	rawWrites.Put(w)
	return n, err
}

func (w *rawWrite) do(fd uintptr) bool {
	n, err := ignoringEINTR(syscall.Write, fd, w.p)
	switch {
	case err == syscall.EAGAIN:
	case err != nil:
		w.err = os.NewSyscallError("write", err)
	default:
		w.n = n
	}
	return true
}

func ignoringEINTR(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// rawError makes err look as if the connection itself had returned it.
func rawError(op string, err error) error {
	var raw *net.OpError
	if errors.As(err, &raw) {
		named := *raw
		named.Op = op
		return &named
	}
	return err
}

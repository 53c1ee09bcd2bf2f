package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// network is the name of the in-memory network in addresses and errors.
const network = "pipe"

// An Addr is the address of one end of a connection in memory. The network is
// always "pipe".
type Addr string

var _ net.Addr = Addr("")

// Network returns "pipe".
func (Addr) Network() string { return network }

// String returns the address.
func (a Addr) String() string { return string(a) }

// A Listener is a [net.Listener] in memory. Its connections are the ends of
// [net.Pipe]: without a buffer, with deadlines, and inside a [testing/synctest]
// bubble durably blocking. All methods may be called at once.
//
// Where net.Pipe has errors of its own, its connections have those of the net
// package: [net.ErrClosed] after their own Close, [io.EOF] and [syscall.EPIPE]
// after the other end's, [os.ErrDeadlineExceeded].
type Listener struct {
	done  chan struct{} // closed by Close
	ready chan struct{} // holds a token while pending may not be empty

	// mu guards the fields below.
	mu      sync.Mutex
	closed  bool
	pending []net.Conn // dialed and not accepted
	dialed  int
}

var _ net.Listener = (*Listener)(nil)

// NewListener returns a listener that nobody has dialed yet.
func NewListener() *Listener {
	return &Listener{done: make(chan struct{}), ready: make(chan struct{}, 1)}
}

// Accept returns the next connection that has been dialed. It blocks until there
// is one or the listener is closed; then, and ever after, it returns
// [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case <-l.ready:
		}
		if nc := l.takePending(); nc != nil {
			return nc, nil
		}
	}
}

func (l *Listener) takePending() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return nil
	}
	nc := l.pending[0]
	l.pending = l.pending[1:]
	if len(l.pending) > 0 {
		l.signalLocked()
	}
	return nc
}

// signalLocked puts the token in ready. l.mu must be held, so there is at most
// one to put.
func (l *Listener) signalLocked() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// Close stops accepting. Connections that were dialed and not accepted are
// closed; those that were accepted are not touched. Later calls return
// [net.ErrClosed].
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	pending := l.pending
	l.pending = nil
	close(l.done)
	l.mu.Unlock()
	for _, nc := range pending {
		_ = nc.Close()
	}
	return nil
}

// Addr returns the listener's address, the [Addr] "pipe".
func (l *Listener) Addr() net.Addr { return Addr(network) }

// DialContext connects to the listener, whatever network and address say; it has
// the form that [chatroom.WithDialer] wants. It does not wait for Accept. Each
// connection has an address of its own on this end: "pipe:1", "pipe:2" and so
// on. Once the listener is closed the error matches [syscall.ECONNREFUSED].
func (l *Listener) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return l.DialFrom(ctx, nil)
}

// DialFrom is [Listener.DialContext] with this end's address chosen: what the
// accepting end has for its RemoteAddr. A nil address is the next of the
// listener's own.
func (l *Listener) DialFrom(ctx context.Context, from net.Addr) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, l.dialError(from, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, l.dialError(from, syscall.ECONNREFUSED)
	}
	l.dialed++
	if from == nil {
		from = Addr(fmt.Sprintf("%s:%d", network, l.dialed))
	}
	near, far := pipe(from, l.Addr())
	l.pending = append(l.pending, far)
	l.signalLocked()
	return near, nil
}

func (l *Listener) dialError(from net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: network, Source: from, Addr: l.Addr(), Err: err}
}

// A conn is one end of a net.Pipe with addresses and the net package's errors.
type conn struct {
	net.Conn
	local, remote net.Addr
	closed        atomic.Bool
	wasReset      *atomic.Bool // shared by both ends
}

var _ syscall.Conn = (*conn)(nil)

func pipe(nearAddr, farAddr net.Addr) (near, far *conn) {
	a, b := net.Pipe()
	wasReset := new(atomic.Bool)
	near = &conn{Conn: a, local: nearAddr, remote: farAddr, wasReset: wasReset}
	far = &conn{Conn: b, local: farAddr, remote: nearAddr, wasReset: wasReset}
	return near, far
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.opError("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.opError("write", err)
}

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return c.opError("close", net.ErrClosed)
	}
	return c.Conn.Close()
}

// SyscallConn returns [errors.ErrUnsupported], for there is no file. That there is
// such a method tells chatroom that writes can go on after a deadline, as those
// of the system's connections can, and so need not each have a timer.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// reset closes the connection so that the other end finds it reset by its peer.
func (c *conn) reset() error {
	c.wasReset.Store(true)
	return c.Close()
}

func (c *conn) opError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
	case c.closed.Load():
		err = net.ErrClosed
	case c.wasReset.Load():
		err = syscall.ECONNRESET
	case err == io.EOF:
		return io.EOF
	default:
		err = syscall.EPIPE
	}
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: c.remote, Err: err}
}

// cut ends nc without a goodbye: its peer finds it reset, where the transport
// can say so.
func cut(nc net.Conn) error {
	switch c := nc.(type) {
	case interface{ reset() error }:
		return c.reset()
	case interface{ SetLinger(seconds int) error }:
		if err := c.SetLinger(0); err != nil {
			return err
		}
	case interface{ NetConn() net.Conn }:
		return cut(c.NetConn())
	}
	return nc.Close()
}

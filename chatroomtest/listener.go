package chatroomtest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// A Listener is a [net.Listener] in memory. All methods are safe for concurrent use.
type Listener struct {
	connect func(near, far net.Addr) (net.Conn, net.Conn) // fixed after construction

	// mu guards the fields below. Nobody holds it while waiting.
	mu      sync.Mutex
	changed sync.Cond // of closed and pending
	closed  bool
	pending []net.Conn // dialed and not accepted
	dialed  int
}

var _ net.Listener = (*Listener)(nil)

// NewListener returns a listener that nobody has dialed yet. Its connections are those
// of [net.Pipe] with addresses, resets and the net package's errors. They have no buffer,
// so that what is written has been read, and cannot end one direction alone, so that
// package chatroom says no goodbyes on them, for which it would wait.
func NewListener() *Listener {
	return newListener(func(near, far net.Addr) (net.Conn, net.Conn) { return newPipe(near, far) })
}

// NewBufferedListener returns a listener that nobody has dialed yet, each connection
// of which is a [*Link], of the size that [NewLink] takes.
func NewBufferedListener(size int) *Listener {
	return newListener(func(near, far net.Addr) (net.Conn, net.Conn) { return newLink(size, near, far) })
}

func newListener(connect func(near, far net.Addr) (net.Conn, net.Conn)) *Listener {
	l := &Listener{connect: connect}
	l.changed.L = &l.mu
	return l
}

// Accept returns the next connection that has been dialed. It blocks until there
// is one or the listener is closed; then, and ever after, it returns
// [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && len(l.pending) == 0 {
		l.changed.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	nc := l.pending[0]
	l.pending = l.pending[1:]
	return nc, nil
}

// Close stops accepting. Connections that were dialed and not accepted are
// closed; those that were accepted are not touched. Later calls return
// [net.ErrClosed].
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	for _, nc := range l.pending {
		_ = nc.Close() // which does not wait
	}
	l.pending = nil
	l.changed.Broadcast()
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
	near, far := l.connect(from, l.Addr())
	l.pending = append(l.pending, far)
	l.changed.Signal()
	return near, nil
}

func (l *Listener) dialError(from net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: network, Source: from, Addr: l.Addr(), Err: err}
}

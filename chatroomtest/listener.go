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

	done  chan struct{} // closed by Close
	ready chan struct{} // holds a token while pending may not be empty

	// mu guards the fields below.
	mu      sync.Mutex
	closed  bool
	pending []net.Conn // dialed and not accepted
	dialed  int
}

var _ net.Listener = (*Listener)(nil)

// NewListener returns a listener that nobody has dialed yet. Its connections are
// those of [Pipe]: they have no buffer, so that what is written has been read, and
// cannot end one direction alone, so that package chatroom says no goodbyes on them,
// for which it would wait.
func NewListener() *Listener {
	return newListener(func(near, far net.Addr) (net.Conn, net.Conn) { return newPipe(near, far) })
}

// NewBufferedListener returns a listener that nobody has dialed yet, each connection
// of which is a [*Link], of the size that [NewLink] takes.
func NewBufferedListener(size int) *Listener {
	return newListener(func(near, far net.Addr) (net.Conn, net.Conn) { return newLink(size, near, far) })
}

func newListener(connect func(near, far net.Addr) (net.Conn, net.Conn)) *Listener {
	return &Listener{connect: connect, done: make(chan struct{}), ready: make(chan struct{}, 1)}
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
	near, far := l.connect(from, l.Addr())
	l.pending = append(l.pending, far)
	l.signalLocked()
	return near, nil
}

func (l *Listener) dialError(from net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: network, Source: from, Addr: l.Addr(), Err: err}
}

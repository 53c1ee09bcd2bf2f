package chatroomtest

import (
	"context"
	"fmt"
	"net"
	"sync"
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

// A Listener is a [net.Listener] in memory. Its connections are those of [Pipe],
// with addresses of their own. All methods may be called at once.
type Listener struct {
	// Fixed after construction.
	size   int  // that a connection holds, in each direction
	halves bool // whether connections have CloseWrite

	done  chan struct{} // closed by Close
	ready chan struct{} // holds a token while pending may not be empty

	// mu guards the fields below.
	mu      sync.Mutex
	closed  bool
	pending []net.Conn // dialed and not accepted
	dialed  int
}

var _ net.Listener = (*Listener)(nil)

// NewListener returns a listener that nobody has dialed yet. Its connections have
// no buffer, so that what is written has been read, and cannot end one direction
// alone: chatroom says no goodbyes on them, for which it would wait.
func NewListener() *Listener {
	return &Listener{done: make(chan struct{}), ready: make(chan struct{}, 1)}
}

// NewBufferedListener returns a listener that nobody has dialed yet, the
// connections of which are like those of TCP: they hold up to size bytes in each
// direction, and have CloseWrite. A size of zero or less is no buffer.
func NewBufferedListener(size int) *Listener {
	l := NewListener()
	l.size, l.halves = size, true
	return l
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
	near, far := l.connect(from)
	l.pending = append(l.pending, far)
	l.signalLocked()
	return near, nil
}

func (l *Listener) connect(from net.Addr) (near, far net.Conn) {
	a, b := newPipe(l.size, from, l.Addr())
	if l.halves {
		return halfCloser{a}, halfCloser{b}
	}
	return a, b
}

func (l *Listener) dialError(from net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: network, Source: from, Addr: l.Addr(), Err: err}
}

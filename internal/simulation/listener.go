package simulation

import (
	"net"
	"sync"
)

// memory is the network of simulated addresses.
const memory = "memory"

// An addr is the address of one end of a simulated connection.
type addr struct{ network, name string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.name }

// A listener hands the server the connections that are offered to it.
type listener struct {
	offered chan net.Conn // closed by Close

	mu     sync.Mutex // guards closed, and sending to offered
	closed bool
}

var _ net.Listener = (*listener)(nil)

// newListener returns a listener that holds up to size connections until they are
// accepted.
func newListener(size int) *listener {
	return &listener{offered: make(chan net.Conn, size)}
}

// offer hands nc to Accept, and reports false if the listener is closed.
func (l *listener) offer(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.offered <- nc // there is room
	return true
}

func (l *listener) Accept() (net.Conn, error) {
	nc, ok := <-l.offered
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}

// Close ends the listener, and the connections that nobody has accepted.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	close(l.offered)
	for nc := range l.offered {
		if l, ok := nc.(interface{ NetConn() net.Conn }); ok {
			nc = l.NetConn() // whose Close does not wait
		}
		_ = nc.Close() // nobody else has it
	}
	return nil
}

func (l *listener) Addr() net.Addr { return addr{memory, memory} }

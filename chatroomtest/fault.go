package chatroomtest

import (
	"context"
	"net"
)

// A fault is what connections with faults share. They pass on what they do not
// change, and hide what the connection below has besides the methods of a
// net.Conn and CloseWrite: what looks through a wrapper, at a file descriptor for
// one, would go round its fault. There is no NetConn either. To chatroom that
// would say that a write which fails may have sent more than it counts, as with
// TLS; the counts of a fault are exact.
type fault struct {
	net.Conn

	// turn holds a token while nobody writes. It is a channel, not a lock,
	// because it is kept across I/O. Who waits for it is not waiting for long
	// after a deadline or the end: these end the write whose turn it is.
	turn chan struct{}
}

func newFault(nc net.Conn) fault {
	f := fault{Conn: nc, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

// CloseWrite ends the direction that this end writes; see the function.
func (f *fault) CloseWrite() error { return CloseWrite(f.Conn) }

func (f *fault) canCloseWrite() bool { return canCloseWrite(f.Conn) }

func (f *fault) reset() error { return Reset(f.Conn) }

// takeTurn waits until nobody else writes. It returns what ends the turn.
func (f *fault) takeTurn() (end func()) {
	<-f.turn
	return func() { f.turn <- struct{}{} }
}

// WrapListener returns a listener that passes each connection it accepts from l
// through wrap, which gives the server's end its faults:
//
//	l := chatroomtest.NewListener()
//	slicing := chatroomtest.WrapListener(l, func(nc net.Conn) net.Conn { return chatroomtest.Slice(nc, 1) })
//	s := chatroomtest.NewServerOn(t, slicing, l.DialContext)
//
// Faults belong below TLS, as in tls.NewListener(slicing, config): they cut and
// stop streams of bytes, and TLS does not outlive a write that was stopped. They
// have no method NetConn, which would tell chatroom that there is something like
// TLS, where the count of a failed write's bytes is not to be relied on; that of a
// fault is exact. Make them in the bubble in which they are used.
//
// Calls of wrap come one at a time if those of Accept do. Closing it closes l.
func WrapListener(l net.Listener, wrap func(net.Conn) net.Conn) net.Listener {
	return wrappedListener{l, wrap}
}

type wrappedListener struct {
	net.Listener

	wrap func(net.Conn) net.Conn
}

func (l wrappedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(nc), nil
}

// WrapDial returns a function that connects as dial does and passes the
// connection through wrap, which gives the clients of [NewServerOn] their faults.
// It may be called as dial may; calls of wrap come at once if its own do.
func WrapDial(dial DialFunc, wrap func(net.Conn) net.Conn) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(nc), nil
	}
}

package chatroomtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"example.com/chatroom"
)

// TestListener proves that a listener does what [chatroom.Server.Serve] needs:
// that closing it ends what waits, and nothing else, and that its connections end
// well. It is for transports of a program's own, such as the channels of an SSH
// server.
//
// Run golang.org/x/net/nettest.TestConn as well, over both ends of a connection.
// It asks the rest: that bytes arrive, that deadlines work, that Close ends what
// waits.
//
//	nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
//		near, far, err = connectOverMyListener()
//		return near, far, func() { near.Close(); far.Close() }, err
//	})
//
// TestListener runs a subtest for each case, and calls newListener with the
// subtest's T. The function newListener returns a fresh listener and how to
// connect to it. That is called with the network and the address of the
// listener's Addr, on other goroutines than the test's. The suite closes the
// listener and all connections.
//
//	chatroomtest.TestListener(t, func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
//		l := chatroomtest.NewListener()
//		return l, l.DialContext
//	})
//
// The cases, by the names that [SkipCase] takes, are accept, addr,
// accept-after-close, close-unblocks-accept, close-twice, close-keeps-conns,
// end-of-stream, close-conn-twice and serves. None has parts.
//
// A case that takes longer than [WithHangTimeout] fails with what it waits for and
// the stacks of all goroutines. TestListener blocks until all cases have run.
func TestListener(t *testing.T, newListener func(tb testing.TB) (net.Listener, DialFunc), opts ...SuiteOption) {
	t.Helper()
	runSuite(t, listenerCases(), startListenerRun(newListener), opts)
}

func listenerCases() []suiteCase[*listenerRun] {
	return []suiteCase[*listenerRun]{
		{"accept", "every connection that is dialed is accepted", func(l *listenerRun) {
			for range 10 {
				l.connect()
			}
		}},
		{"addr", "the server logs addresses, also of what has been closed", func(l *listenerRun) {
			has := func(what string, addr net.Addr) {
				l.tb.Helper()
				if addr == nil || addr.Network() == "" {
					l.fatalf("%s: want an address with a network, got %v", what, addr)
				}
				_ = addr.String() // may be empty, as that of a Unix socket's client
			}
			has("Addr", l.l.Addr())
			near, far := l.connect()
			for _, nc := range []net.Conn{near, far} {
				has("LocalAddr", nc.LocalAddr())
				has("RemoteAddr", nc.RemoteAddr())
				_ = nc.Close()
				has("LocalAddr of a closed connection", nc.LocalAddr())
				has("RemoteAddr of a closed connection", nc.RemoteAddr())
			}
			_ = l.l.Close()
			has("Addr of a closed listener", l.l.Addr())
		}},
		{"accept-after-close", "Serve must learn that its listener is closed", func(l *listenerRun) {
			l.must("Close to return", l.l.Close)
			l.mustFail("Accept of a closed listener to return", l.start(l.accept))
			l.mustFail("a second Accept of a closed listener to return", l.start(l.accept))
		}},
		{"close-unblocks-accept", "Serve waits in Accept, and must end", func(l *listenerRun) {
			one, two := l.start(l.accept), l.start(l.accept)
			// They get to where they wait, which in a bubble is exact. Outside one, a slow
			// start may hide a fault and never makes one.
			time.Sleep(10 * time.Millisecond)
			l.must("Close to return while Accept waits", l.l.Close)
			l.mustFail("Accept to return after Close", one)
			l.mustFail("the other Accept to return after Close", two)
		}},
		{"close-twice", "both the server and the program may close the listener", func(l *listenerRun) {
			l.closeThrice(l.l)
		}},
		{"close-keeps-conns", "a graceful end goes on to write to members", func(l *listenerRun) {
			near, far := l.connect()
			l.must("Close to return", l.l.Close)
			echoed := l.start(func() error { return echo(far) })
			l.must("a byte to be carried each way", func() error { return errors.Join(ping(near), <-echoed) })
		}},
		{"end-of-stream", "a goodbye is the end of the stream, after all that was sent", func(l *listenerRun) {
			near, far := l.connect()
			written := l.start(func() error {
				_, err := near.Write([]byte("the last"))
				_ = near.Close()
				return err
			})
			l.must("the last that was sent, and then io.EOF, to be read", func() error {
				got, err := io.ReadAll(far)
				if err == nil && string(got) != "the last" {
					err = fmt.Errorf("it became %q", got)
				}
				if _, again := far.Read(make([]byte, 1)); again != io.EOF {
					err = errors.Join(err, fmt.Errorf("the end is not io.EOF but %w", again))
				}
				return errors.Join(err, <-written)
			})
		}},
		{"close-conn-twice", "both a member's end and the server's may close a connection", func(l *listenerRun) {
			near, far := l.connect()
			l.closeThrice(near)
			l.closeThrice(far)
		}},
		{"serves", "a room over it works, and ends without a rest", func(l *listenerRun) {
			srv := chatroom.NewServer()
			l.closeAtEnd(srv)
			served := l.start(func() error { return srv.Serve(l.l) })
			s := startServerRun(func(testing.TB) func() (net.Conn, error) { return l.dialOne })(l.suiteRun)
			cat := s.join("cat")
			s.talk()
			_ = cat.nc.Close()
			s.talk()
			l.must("Shutdown to return", func() error { return srv.Shutdown(l.ctx) })
			s.ann.wantClosed("Shutdown")
			s.ben.wantClosed("Shutdown")
			if err := l.wait("Serve to return", served); !errors.Is(err, chatroom.ErrServerClosed) {
				l.fatalf("want Serve to return ErrServerClosed, got %v", err)
			}
			if n := srv.Stats().Connections; n != 0 {
				l.fatalf("want no connections after Shutdown, got %d", n)
			}
		}},
	}
}

// A listenerRun is a case of TestListener's that is being run.
type listenerRun struct {
	*suiteRun
	l    net.Listener
	dial DialFunc
}

func startListenerRun(newListener func(tb testing.TB) (net.Listener, DialFunc)) func(r *suiteRun) *listenerRun {
	return func(r *suiteRun) *listenerRun {
		l, dial := newListener(r.tb)
		r.closeAtEnd(l)
		return &listenerRun{suiteRun: r, l: l, dial: dial}
	}
}

func (l *listenerRun) dialOne() (net.Conn, error) {
	return l.dial(l.ctx, l.l.Addr().Network(), l.l.Addr().String())
}

// connect returns both ends of a connection that has carried a byte each way, so
// that handshakes below are over.
func (l *listenerRun) connect() (near, far net.Conn) {
	l.tb.Helper()
	accepted := l.start(func() (err error) {
		if far, err = l.l.Accept(); err != nil {
			return err
		}
		l.closeAtEnd(far)
		return echo(far)
	})
	l.must("a connection that is dialed to carry a byte each way", func() (err error) {
		if near, err = l.dialOne(); err != nil {
			return err
		}
		l.closeAtEnd(near)
		return errors.Join(ping(near), <-accepted)
	})
	return near, far
}

// ping writes a byte, and reads it when it comes back.
func ping(nc net.Conn) error {
	b := []byte("x")
	_, err := nc.Write(b)
	if err == nil {
		_, err = io.ReadFull(nc, b)
	}
	return err
}

// echo writes back a byte that it reads.
func echo(nc net.Conn) error {
	_, err := io.CopyN(nc, nc, 1)
	return err
}

func (l *listenerRun) accept() error {
	_, err := l.l.Accept()
	return err
}

// closeThrice fails the case if a later Close of c panics or blocks. It may
// return an error.
func (l *listenerRun) closeThrice(c io.Closer) {
	l.tb.Helper()
	l.must("Close to return three times", func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("a second Close panics: %v", p)
			}
		}()
		for range 3 {
			_ = c.Close()
		}
		return nil
	})
}

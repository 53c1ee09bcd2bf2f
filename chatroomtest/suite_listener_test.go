package chatroomtest_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"example.com/chatroom/chatroomtest"
)

func TestListenerSuite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport, opts ...chatroomtest.SuiteOption) {
		chatroomtest.TestListener(t, tr.listen, opts...)
	})
}

// listenerFaults are what can be wrong with a faultyListener.
type listenerFaults struct {
	acceptOn         bool // Accept waits on after Close
	noAddr           bool // Addr is nil once closed
	closeConns       bool // Close closes what was accepted
	noReadDeadline   bool // read deadlines are ignored
	lateReadDeadline bool // those set while a Read waits are
	oddEnd           bool // the end of the stream is not io.EOF
	oneWay           bool // a Write waits for a Read of the same end to return
}

// A faultyListener is a listener with faults. Without any, it is a correct one.
type faultyListener struct {
	*chatroomtest.Listener
	listenerFaults

	mu     sync.Mutex
	conns  []net.Conn
	closed bool
	forced chan struct{} // closed when the test is over
}

func startFaultyListener(tb testing.TB, faults listenerFaults) (net.Listener, chatroomtest.DialFunc) {
	l := &faultyListener{Listener: chatroomtest.NewListener(), listenerFaults: faults, forced: make(chan struct{})}
	tb.Cleanup(func() { close(l.forced) })
	return l, l.DialContext
}

func (l *faultyListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		if l.acceptOn {
			<-l.forced
		}
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, nc)
	return &faultyConn{Conn: nc, l: l, turn: make(chan struct{}, 1)}, nil
}

func (l *faultyListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.closeConns {
		for _, nc := range l.conns {
			_ = nc.Close()
		}
	}
	return l.Listener.Close()
}

func (l *faultyListener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noAddr && l.closed {
		return nil
	}
	return l.Listener.Addr()
}

type faultyConn struct {
	net.Conn
	l    *faultyListener
	turn chan struct{} // holds a token while a Read waits

	mu      sync.Mutex
	reading bool
}

func (c *faultyConn) Read(p []byte) (int, error) {
	c.setReading(true)
	defer c.setReading(false)
	if c.l.oneWay {
		c.turn <- struct{}{}
		defer func() { <-c.turn }()
	}
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.l.oddEnd {
		err = errors.New("the other end has gone")
	}
	return n, err
}

func (c *faultyConn) setReading(reading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = reading
}

func (c *faultyConn) Write(p []byte) (int, error) {
	if c.l.oneWay {
		c.turn <- struct{}{}
		defer func() { <-c.turn }()
	}
	return c.Conn.Write(p)
}

func (c *faultyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *faultyConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	reading := c.reading
	c.mu.Unlock()
	if c.l.noReadDeadline || c.l.lateReadDeadline && reading {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// Each fault is found by the cases that are named for it and, where it stops a
// server, by the one that serves; by no other.
func TestListenerSuiteFindsFaults(t *testing.T) {
	tests := []struct {
		name   string
		faults listenerFaults
		want   []string
	}{
		{"none", listenerFaults{}, nil},
		{"acceptOn", listenerFaults{acceptOn: true}, []string{"accept-after-close", "close-unblocks-accept", "serves"}},
		{"noAddr", listenerFaults{noAddr: true}, []string{"addr"}},
		{"closeConns", listenerFaults{closeConns: true}, []string{"close-keeps-conns"}},
		{"noReadDeadline", listenerFaults{noReadDeadline: true}, []string{"serves"}},
		{"lateReadDeadline", listenerFaults{lateReadDeadline: true}, []string{"serves"}},
		{"oddEnd", listenerFaults{oddEnd: true}, []string{"end-of-stream"}},
		{"oneWay", listenerFaults{oneWay: true}, []string{"serves"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantFailing(t, tt.want, chatroomtest.ListenerCases(func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
				return startFaultyListener(tb, tt.faults)
			}))
		})
	}
}

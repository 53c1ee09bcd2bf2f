package chatroomtest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// suiteTick is a deadline that a case lets pass.
const suiteTick = 10 * time.Millisecond

// TestListener proves that a listener, and the connections that it accepts, do
// what [chatroom.Server.Serve] needs: that closing ends what waits, that
// deadlines work, and that bytes arrive as they were sent. It is for transports
// of a program's own, such as the channels of an SSH server.
//
// TestListener runs one subtest for each case. For each it calls newListener
// with the subtest's T, which returns a fresh listener and how to connect to it;
// the function is called with the network and the address of the listener's
// Addr, and on other goroutines than the test's. The suite closes the listener
// and all connections.
//
//	chatroomtest.TestListener(t, func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
//		l := chatroomtest.NewListener()
//		return l, l.DialContext
//	})
//
// The cases, by the names that [SkipCase] takes, are accept, addr,
// accept-after-close, close-unblocks-accept, close-twice, close-keeps-conns,
// intact, both-ways, end-of-stream, read-deadline, past-read-deadline,
// write-deadline, clear-deadline, close-unblocks-read, close-unblocks-write,
// close-conn-twice and serves.
//
// TestListener blocks until all cases have run. A case that takes longer than
// [WithHangTimeout] fails with what it waits for and the stacks of all
// goroutines.
func TestListener(t *testing.T, newListener func(tb testing.TB) (net.Listener, DialFunc), opts ...SuiteOption) {
	t.Helper()
	runSuite(t, newListenerCases(newListener), opts)
}

// A listenerRun is a case of TestListener's that is being run.
type listenerRun struct {
	*suiteRun
	l    net.Listener
	dial DialFunc
}

func newListenerCases(newListener func(tb testing.TB) (net.Listener, DialFunc)) []suiteCase {
	return casesOf(listenerCases(), func(r *suiteRun) *listenerRun {
		l, dial := newListener(r.tb)
		r.closeAtEnd(l)
		return &listenerRun{suiteRun: r, l: l, dial: dial}
	})
}

// connect returns both ends of a connection that has carried a byte each way, so
// that handshakes below are over.
func (l *listenerRun) connect() (near, far net.Conn) {
	l.tb.Helper()
	var nearErr, farErr error
	l.do("a connection to be dialed and accepted, and to carry a byte each way", func() {
		var both sync.WaitGroup
		defer both.Wait()
		both.Go(func() {
			if far, farErr = l.l.Accept(); farErr == nil {
				l.closeAtEnd(far)
				farErr = errors.Join(readByte(far, 'n'), writeByte(far, 'f'))
			}
		})
		if near, nearErr = l.dialOne(); nearErr == nil {
			l.closeAtEnd(near)
			nearErr = errors.Join(writeByte(near, 'n'), readByte(near, 'f'))
		}
	})
	if err := errors.Join(nearErr, farErr); err != nil {
		l.fatalf("connect: %v", err)
	}
	return near, far
}

func (l *listenerRun) dialOne() (net.Conn, error) {
	return l.dial(l.ctx, l.l.Addr().Network(), l.l.Addr().String())
}

func writeByte(nc net.Conn, b byte) error {
	_, err := nc.Write([]byte{b})
	return err
}

func readByte(nc net.Conn, want byte) error {
	var b [1]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		return err
	}
	if b[0] != want {
		return errors.New("another byte came than was sent")
	}
	return nil
}

// carries fails the case unless a byte gets from one end to the other.
func (l *listenerRun) carries(from, to net.Conn, when string) {
	l.tb.Helper()
	var writeErr, readErr error
	l.do("a byte to be carried "+when, func() {
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() { writeErr = writeByte(from, 'x') })
		readErr = readByte(to, 'x')
	})
	if err := errors.Join(writeErr, readErr); err != nil {
		l.fatalf("%s: %v", when, err)
	}
}

// blocked starts op, which waits, and returns what it will return. It gives op
// the time to get to where it waits, which in a bubble is exact; outside one, a
// slow start may hide a fault and never makes one.
func (l *listenerRun) blocked(op func() error) <-chan error {
	result := make(chan error, 1)
	started := make(chan struct{})
	go func() { // ends with the connection, or the listener
		close(started)
		result <- op()
	}()
	<-started
	time.Sleep(suiteTick)
	return result
}

// unblocks fails the case unless result comes and is an error, which it returns.
func (l *listenerRun) unblocks(result <-chan error, what string) error {
	l.tb.Helper()
	var err error
	l.do(what, func() { err = <-result })
	if err == nil {
		l.fatalf("%s: want an error, got none", what)
	}
	return err
}

// fill writes to nc, whose peer does not read, until that fails.
func fill(nc net.Conn) error {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for range 4096 { // 256 MiB, more than any system buffers
		if _, err := nc.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// timedOut fails the case unless err is a deadline's.
func (l *listenerRun) timedOut(err error, what string) {
	l.tb.Helper()
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		l.fatalf("%s: want an error that matches os.ErrDeadlineExceeded and is a net.Error with a timeout, got %v", what, err)
	}
}

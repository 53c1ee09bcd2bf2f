package chatroomtest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing/synctest"
	"time"
)

// A Raw is a connection to a [Server] that speaks bytes. The methods that are not the
// connection's own fail the test, and must be called on its goroutine.
type Raw struct {
	net.Conn

	s *Server
}

// SendBytes writes these bytes.
func (r *Raw) SendBytes(b string) {
	r.s.tb.Helper()
	err := r.s.guard(r.Conn, func() error {
		_, err := io.WriteString(r.Conn, b)
		return err
	})
	if err != nil {
		r.fail("send %.100q: %v", b, err)
	}
}

// SendFrame writes a frame: the first is the name, each other a message.
func (r *Raw) SendFrame(payload string) {
	r.s.tb.Helper()
	r.SendBytes(string(frames(payload)))
}

// WantBytes fails the test unless the next bytes are exactly these.
func (r *Raw) WantBytes(b string) {
	r.s.tb.Helper()
	got := make([]byte, len(b))
	n, err := r.readFull(got)
	if string(got[:n]) != b {
		r.fail("want bytes %q, got %q (%v)", b, got[:n], err)
	}
}

// Want fails the test unless the next bytes are this message: the sender's name
// and the body, each as a frame.
func (r *Raw) Want(from, body string) {
	r.s.tb.Helper()
	r.WantBytes(string(frames(from, body)))
}

// WantClosed fails the test unless the next thing to come is the end of the
// connection, cleanly or not.
func (r *Raw) WantClosed() {
	r.s.tb.Helper()
	var b [1]byte
	switch n, err := r.readFull(b[:]); {
	case n > 0:
		r.fail("want the connection closed, got byte %q", b[:n])
	case errors.Is(err, context.DeadlineExceeded):
		r.fail("want the connection closed, but it is open")
	}
}

// readFull is io.ReadFull with a guard.
func (r *Raw) readFull(p []byte) (n int, err error) {
	err = r.s.guard(r.Conn, func() error {
		n, err = io.ReadFull(r.Conn, p)
		return err
	})
	return n, err
}

// WantNothing fails the test if there is a byte to read, or the connection has
// ended. It is for synctest bubbles, as [Client.WantNothing] is, and leaves the
// connection without a read deadline.
func (r *Raw) WantNothing() {
	r.s.tb.Helper()
	if !r.s.bubble {
		r.s.tb.Fatal(outsideBubble)
	}
	r.wantNone(func() {
		synctest.Wait()
		_ = r.Conn.SetReadDeadline(longAgo)
	})
}

// WantQuiet fails the test if a byte comes within d, or the connection ends. It
// leaves the connection without a read deadline.
func (r *Raw) WantQuiet(d time.Duration) {
	r.s.tb.Helper()
	r.wantNone(func() { _ = r.Conn.SetReadDeadline(time.Now().Add(d)) })
}

// wantNone fails the test if anything comes before the deadline that setDeadline sets.
func (r *Raw) wantNone(setDeadline func()) {
	r.s.tb.Helper()
	var b [1]byte
	var n int
	var err error
	done := make(chan struct{})
	go func() { // ends with the deadline at the latest
		defer close(done)
		n, err = r.Conn.Read(b[:])
	}()
	setDeadline()
	<-done
	_ = r.Conn.SetReadDeadline(time.Time{})
	switch {
	case n > 0:
		r.fail("want nothing, got byte %q", b[:n])
	case !errors.Is(err, os.ErrDeadlineExceeded):
		r.fail("want nothing, got %v", err)
	}
}

// fail ends the test.
func (r *Raw) fail(format string, args ...any) {
	r.s.tb.Helper()
	r.s.fail("raw", format, args...)
}

// Cut ends the connection without a goodbye, as [Client.Cut] does.
func (r *Raw) Cut() {
	r.s.tb.Helper()
	if err := Reset(r.Conn); err != nil {
		r.fail("cut: %v", err)
	}
}

package chatroomtest

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"example.com/chatroom"
)

// A Subject is a client that [TestClient] tests. A [chatroom.Conn] is one; for a
// client in another language it is what talks to the client's process.
//
// Send and Receive are called on different goroutines, each by one at a time,
// and Close by a third.
type Subject interface {
	// Send sends body as one message. It need not wait until the server has read
	// it. The suite writes to body once Send has returned.
	Send(ctx context.Context, body []byte) error

	// Receive returns the next message, blocking until there is one. Once the
	// server has ended the stream between two messages, it returns an error that
	// matches io.EOF; what ends a connection otherwise is any other error.
	Receive(ctx context.Context) (chatroom.Message, error)

	// Close leaves. The server sees the connection end, and a Receive that is
	// blocked returns.
	Close() error
}

var _ Subject = (*chatroom.Conn)(nil)

// TestClient proves that a client speaks the chat room's wire protocol: that the
// bytes it sends are the ones that must be sent, and that it reads whatever a
// server may send, in whatever pieces. The suite is the server, and writes the
// bytes itself. The client may be written in any language.
//
// TestClient runs a subtest for each case, or for each part of a case that has
// parts, and calls start with the subtest's T. The function start returns a
// listener, which the suite accepts from and closes, and how a client joins it.
// That is called on other goroutines than the test's, once or more in a case, and
// need not return before the suite has read the name. The suite closes each
// subject.
//
//	chatroomtest.TestClient(t, func(tb testing.TB) (net.Listener, chatroomtest.JoinFunc) {
//		l := chatroomtest.NewListener()
//		return l, func(ctx context.Context, name string) (chatroomtest.Subject, error) {
//			return chatroom.Dial(ctx, "", "", name, chatroom.WithDialer(l.DialContext))
//		}
//	})
//
// The cases, by the names that [SkipCase] takes, are
//
//   - of what the client sends: name-first, sends, sends-padding, sends-empty,
//     sends-large and sends-bytes;
//   - of what it receives: receives, receives-split, receives-joined-up,
//     receives-order, receives-empty, receives-large, receives-bytes,
//     headers-accepted, headers-rejected and huge-header;
//   - of how it ends: clean-end, torn-end and closes;
//   - of the wire's examples: conversations.
//
// The parts of sends-large and receives-large are sizes in bytes, as in
// "sends-large/65536". Those of headers-accepted, headers-rejected and
// conversations are [WireExamples], as in "headers-rejected/a-plus-sign"; those of
// sends, sends-bytes and receives-bytes are kinds of text.
//
// A case that takes longer than [WithHangTimeout] fails with who waits for what;
// the contexts that the subject is given end then. TestClient blocks until all
// cases have run.
func TestClient(t *testing.T, start func(tb testing.TB) (net.Listener, JoinFunc), opts ...SuiteOption) {
	t.Helper()
	runSuite(t, clientCases(), startClientRun(start), opts)
}

// A JoinFunc joins a room as name, and returns the client that did. It returns an
// error when ctx ends.
type JoinFunc = func(ctx context.Context, name string) (Subject, error)

// A clientRun is a case of TestClient's that is being run: one client at a time,
// and the server's end of its connection.
type clientRun struct {
	*suiteRun
	l      net.Listener
	join   JoinFunc
	client Subject    // who entered last, unless it has left
	server *suiteConn // what it is connected to
}

func startClientRun(start func(tb testing.TB) (net.Listener, JoinFunc)) func(r *suiteRun) *clientRun {
	return func(r *suiteRun) *clientRun {
		l, join := start(r.tb)
		r.closeAtEnd(l)
		return &clientRun{suiteRun: r, l: l, join: join}
	}
}

// enter has a client join as name, once the one before it has left.
func (c *clientRun) enter(name string) {
	c.tb.Helper()
	c.leave()
	joined := c.start(func() (err error) {
		if c.client, err = c.join(c.ctx, name); err == nil {
			c.closeAtEnd(c.client)
		}
		return err
	})
	c.server = c.newConn("the server", c.l.Accept)
	c.wantSent(name)
	c.must("the client to have joined", func() error { return <-joined })
}

// leave has the client leave that has entered, if there is one.
func (c *clientRun) leave() {
	c.tb.Helper()
	if c.client != nil {
		_ = c.server.nc.Close() // a client may wait for that
		_ = c.wait("Close to return", c.start(c.client.Close))
		c.client = nil
	}
}

// send has the client send body.
func (c *clientRun) send(body string) {
	c.tb.Helper()
	sent := c.start(func() error {
		b := []byte(body)
		defer clear(b) // a client must not keep it
		return c.client.Send(c.ctx, b)
	})
	c.wantSent(body)
	c.must("Send to return", func() error { return <-sent })
}

// wantSent fails the case unless the client's next frame, however its header is
// padded, is of payload.
func (c *clientRun) wantSent(payload string) {
	c.tb.Helper()
	if frame := c.server.next(); frame[frameHeaderLen:] != payload {
		c.fatalf("want the client to send %.60q after a header, got %.80q", payload, frame)
	}
}

// writes sends the client these pieces, one write each, while the case goes on.
func (c *clientRun) writes(pieces ...[]byte) {
	server := c.server
	c.running.Go(func() { // ends with the connection
		for _, b := range pieces {
			if server.tryWrite(b) != nil {
				return // the client is asked what it received
			}
		}
	})
}

// receive is the client's next message.
func (c *clientRun) receive() (m chatroom.Message, err error) {
	c.tb.Helper()
	err = c.wait("Receive to return", c.start(func() (err error) {
		m, err = c.client.Receive(c.ctx)
		return err
	}))
	return m, err
}

// want fails the case unless the client's next message is this, which it returns.
func (c *clientRun) want(from, body string) chatroom.Message {
	c.tb.Helper()
	m, err := c.receive()
	if err != nil || m.From != from || string(m.Body) != body {
		c.fatalf("want Receive to return %.60q from %q, got %.60q from %q (%v)", body, from, m.Body, m.From, err)
	}
	return m
}

// receives has the client receive these messages, which are written one by one.
func (c *clientRun) receives(from string, bodies ...string) {
	c.tb.Helper()
	var pieces [][]byte
	for _, body := range bodies {
		pieces = append(pieces, frames(from, body))
	}
	c.writes(pieces...)
	for _, body := range bodies {
		c.want(from, body)
	}
}

// wantError fails the case unless Receive now returns an error, clean or not as
// given.
func (c *clientRun) wantError(clean bool, after string) {
	c.tb.Helper()
	m, err := c.receive()
	switch {
	case err == nil:
		c.fatalf("want Receive to return an error after %s, got %.60q from %q", after, m.Body, m.From)
	case clean && !errors.Is(err, io.EOF):
		c.fatalf("want Receive to return io.EOF after %s, got %v", after, err)
	case !clean && errors.Is(err, io.EOF):
		c.fatalf("want Receive to tell %s from a clean end, got io.EOF", after)
	}
}

package chatroomtest

import (
	"context"
	"errors"
	"fmt"
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
// TestClient runs one subtest for each case. For each it calls start with the
// subtest's T; start returns a listener, which the suite accepts from and
// closes, and how a client joins it as name. The function join is called on
// another goroutine than the test's, once or more in a case, and need not be
// done before the suite has read the name. The suite closes each subject.
//
//	chatroomtest.TestClient(t, func(tb testing.TB) (net.Listener, chatroomtest.JoinFunc) {
//		l := chatroomtest.NewListener()
//		return l, func(ctx context.Context, name string) (chatroomtest.Subject, error) {
//			return chatroom.Dial(ctx, "", "", name, chatroom.WithDialer(l.DialContext))
//		}
//	})
//
// The cases, by the names that [SkipCase] takes, are of what the client sends
// (name-first, sends, sends-padding, sends-empty, sends-large, sends-bytes), of
// what it receives (receives, receives-split, receives-joined-up,
// receives-order, receives-empty, receives-large, receives-bytes,
// headers-accepted, headers-rejected, huge-header), of how it ends (clean-end,
// torn-end, closes), and the wire's examples (conversations).
//
// A case that takes longer than [WithHangTimeout] fails with who waits for what;
// the contexts that the subject is given end then. TestClient blocks until all
// cases have run. Messages are of up to 256 KiB.
func TestClient(t *testing.T, start func(tb testing.TB) (net.Listener, JoinFunc), opts ...SuiteOption) {
	t.Helper()
	runSuite(t, newClientCases(start), opts)
}

// A JoinFunc joins a room as name, and returns the client that did. It returns an
// error when ctx ends.
type JoinFunc = func(ctx context.Context, name string) (Subject, error)

// A clientRun is a case of TestClient's that is being run: one client and the
// server's end of its connection.
type clientRun struct {
	*suiteRun
	l    net.Listener
	join JoinFunc

	nc      net.Conn
	subject Subject
	joined  chan error // what join returned
}

func newClientCases(start func(tb testing.TB) (net.Listener, JoinFunc)) []suiteCase {
	return casesOf(clientCases(), func(r *suiteRun) *clientRun {
		l, join := start(r.tb)
		r.closeAtEnd(l)
		return &clientRun{suiteRun: r, l: l, join: join}
	})
}

// connect has the client join as name, and accepts its connection. It reads
// nothing from it.
func (c *clientRun) connect(name string) {
	c.tb.Helper()
	c.joined = make(chan error, 1)
	go func() { // ends with ctx, if the subject keeps to it
		s, err := c.join(c.ctx, name)
		if err == nil {
			c.subject = s
			c.closeAtEnd(s)
		}
		c.joined <- err
	}()
	var err error
	c.do("the client to connect", func() {
		if c.nc, err = c.l.Accept(); err == nil {
			c.closeAtEnd(c.nc)
		}
	})
	if err != nil {
		c.fatalf("accept the client: %v", err)
	}
}

// enter has the client join as ann, and reads that.
func (c *clientRun) enter() {
	c.tb.Helper()
	const name = "ann"
	c.connect(name)
	got, err := c.read(len(frames(name)))
	if err != nil {
		c.fatalf("want the frame of the name %q, got %q (%v)", name, got, err)
	}
	c.awaitJoin()
}

func (c *clientRun) awaitJoin() {
	c.tb.Helper()
	var err error
	c.do("the client to have joined", func() { err = <-c.joined })
	if err != nil {
		c.fatalf("the client did not join: %v", err)
	}
}

// read reads n bytes that the client sends.
func (c *clientRun) read(n int) (got []byte, err error) {
	c.tb.Helper()
	got = make([]byte, n)
	c.do(fmt.Sprintf("the client to send %d bytes", n), func() {
		var m int
		m, err = io.ReadFull(c.nc, got)
		got = got[:m]
	})
	return got, err
}

// wantBytes fails the case unless the next that the client sends is this.
func (c *clientRun) wantBytes(want []byte) {
	c.tb.Helper()
	var got []byte
	// Piece by piece, so that what differs shows, though the rest may not come.
	for len(got) < len(want) {
		piece := len(want) - len(got)
		if len(got) < frameHeaderLen {
			piece = 1
		}
		b, err := c.read(piece)
		got = append(got, b...)
		if string(got) != string(want[:len(got)]) || err != nil {
			c.fatalf("want the client to send %.80q, got %.80q (%v)", want, got, err)
		}
	}
}

// sends has the client send body, which must come as want.
func (c *clientRun) sends(body string, want []byte) {
	c.tb.Helper()
	sent := make(chan error, 1)
	go func() { // ends with ctx, if the subject keeps to it
		b := []byte(body)
		err := c.subject.Send(c.ctx, b)
		for i := range b {
			b[i] = '!'
		}
		sent <- err
	}()
	c.wantBytes(want)
	var err error
	c.do("Send to return", func() { err = <-sent })
	if err != nil {
		c.fatalf("Send %.60q: %v", body, err)
	}
}

// writes sends the client these pieces, one write each, while the case goes on.
func (c *clientRun) writes(pieces ...[]byte) {
	nc := c.nc
	c.running.Go(func() {
		for _, b := range pieces {
			over := c.waitsFor(fmt.Sprintf("the client to read %d bytes, which begin %.40q", len(b), b))
			_, err := nc.Write(b)
			over()
			if err != nil {
				return // the client is asked what it received
			}
		}
	})
}

// receive is the client's next message.
func (c *clientRun) receive() (m chatroom.Message, err error) {
	c.tb.Helper()
	c.do("Receive to return", func() { m, err = c.subject.Receive(c.ctx) })
	return m, err
}

// want fails the case unless the client's next message is this.
func (c *clientRun) want(from, body string) {
	c.tb.Helper()
	m, err := c.receive()
	if err != nil {
		c.fatalf("want Receive to return %.60q, got the error %v", body, err)
	}
	c.same(m, from, body)
}

// wantBody is want for cases to which the sender does not matter.
func (c *clientRun) wantBody(body string) {
	c.tb.Helper()
	m, err := c.receive()
	if err != nil {
		c.fatalf("want Receive to return %.60q, got the error %v", body, err)
	}
	if string(m.Body) != body {
		c.fatalf("want Receive to return %.60q, got %.60q from %q", body, m.Body, m.From)
	}
}

func (c *clientRun) same(m chatroom.Message, from, body string) {
	c.tb.Helper()
	if m.From != from || string(m.Body) != body {
		c.fatalf("want Receive to return %.60q from %q, got %.60q from %q", body, from, m.Body, m.From)
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

// again has the client leave, if it has joined, and join as ann.
func (c *clientRun) again() {
	c.tb.Helper()
	if c.subject != nil {
		old, nc := c.subject, c.nc
		_ = nc.Close()
		c.do("Close to return", func() { _ = old.Close() })
	}
	c.enter()
}

func clientCases() []caseOf[*clientRun] {
	return []caseOf[*clientRun]{
		{"name-first", "the first frame is the name, and nothing comes before it", testClientName},
		{"sends", "a message is sent as one frame", testClientSends},
		{"sends-padding", "a header is ten bytes, left-justified and padded with spaces", testClientPadding},
		{"sends-empty", "an empty message is a message", testClientSendsEmpty},
		{"sends-large", "a message is sent whole, whatever its size", testClientSendsLarge},
		{"sends-bytes", "a length counts bytes, not characters", testClientSendsBytes},
		{"receives", "a name and a message make one message", testClientReceives},
		{"receives-split", "a stream may be cut at any byte, and header and payload often come apart", testClientSplit},
		{"receives-joined-up", "several messages may come in one segment", testClientJoinedUp},
		{"receives-order", "messages are received in the order in which they come, each with its name", testClientOrder},
		{"receives-empty", "an empty message is a message", testClientReceivesEmpty},
		{"receives-large", "a message is received whole, whatever its size", testClientReceivesLarge},
		{"receives-bytes", "a length counts bytes, not characters", testClientReceivesBytes},
		{"headers-accepted", "a header is read as a number with white space around it", testClientHeadersAccepted},
		{"headers-rejected", "after what is no header a client is out of step for ever", testClientHeadersRejected},
		{"huge-header", "a header that announces gigabytes is refused, not waited for", testClientHugeHeader},
		{"clean-end", "a stream that ends between messages has ended well", testClientCleanEnd},
		{"torn-end", "a stream that ends inside a message has lost it", testClientTornEnd},
		{"closes", "a client that leaves ends its connection", testClientCloses},
		{"conversations", "these are the bytes of the wire's examples", testClientConversations},
	}
}

package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing/synctest"

	"example.com/chatroom"
)

// A Client is a member of a [Server]'s room. Its methods fail the test, and must
// be called on the test's goroutine.
type Client struct {
	// Conn is the client's connection, for what the Client itself lacks. Receive
	// through the Client: Join may have read a message ahead.
	Conn *chatroom.Conn

	// Member is how the room lists the client.
	Member chatroom.Member

	s       *Server
	nc      net.Conn
	pending []chatroom.Message // read ahead by awaitJoin
}

// received is what a Receive on another goroutine returned.
type received struct {
	m   chatroom.Message
	err error
}

// receiving runs Receive on a goroutine of its own, which ends with ctx and
// sends one result.
func (c *Client) receiving(ctx context.Context) <-chan received {
	got := make(chan received, 1)
	go func() {
		m, err := c.Conn.Receive(ctx)
		got <- received{m, err}
	}()
	return got
}

// awaitJoin waits until the join hook tells of the client. It listens to the
// connection meanwhile, since that is all there is to hear of a rejected name.
func (c *Client) awaitJoin(ctx context.Context, name string) chatroom.Member {
	c.s.tb.Helper()
	listen, stop := context.WithCancel(ctx)
	heard := c.receiving(listen)
	defer func() {
		stop()
		if heard == nil {
			return
		}
		if r := <-heard; r.err == nil {
			c.pending = append(c.pending, r.m)
		}
	}()
	for {
		changed := c.s.change()
		if m, ok := c.s.claimJoin(name, c.nc.LocalAddr()); ok {
			return m
		}
		select {
		case <-changed:
		case r := <-heard:
			heard = nil
			if r.err != nil {
				c.s.tb.Fatalf("chatroomtest: the server did not let %q in: %s", name, c.whyNot(name, r.err))
			}
			c.pending = append(c.pending, r.m)
		case <-ctx.Done():
			if slices.ContainsFunc(c.s.Members(), func(m chatroom.Member) bool { return m.Name == name }) {
				c.s.tb.Fatalf("chatroomtest: %q is in the room, but its join hooks have not returned\n\n%s", name, serverStacks())
			}
			c.s.tb.Fatalf("chatroomtest: the room does not list %q; in the room: %s", name, c.s.names())
		}
	}
}

// whyNot tells why the server hung up on a client that it did not let in, of
// which the client has only err. The server knows a moment later.
func (c *Client) whyNot(name string, err error) string {
	ctx, cancel := context.WithTimeout(context.Background(), quietWindow)
	defer cancel()
	for {
		changed := c.s.change()
		if reason := c.s.whyEnded(c.nc.LocalAddr()); reason != nil {
			return reason.Error()
		}
		if l, ok := c.s.claimLeave(name); ok {
			return fmt.Sprint(l.reason)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err.Error() + "; is the name allowed, did a hook panic?"
		}
	}
}

// Send sends body as one message.
func (c *Client) Send(body string) {
	c.s.tb.Helper()
	ctx, cancel := c.s.timeout()
	defer cancel()
	if err := c.Conn.Send(ctx, []byte(body)); err != nil {
		c.s.tb.Fatalf("chatroomtest: %s: send %.100q: %v", c.Member.Name, body, err)
	}
}

// SendPart sends the first n bytes of body's frame, of which the header is ten,
// and leaves the frame unfinished. [Client.Send] afterwards continues in the
// middle of it.
func (c *Client) SendPart(body string, n int) {
	c.s.tb.Helper()
	frame := chatroom.AppendFrame(nil, []byte(body))
	if n < 0 || n > len(frame) {
		c.s.tb.Fatalf("chatroomtest: %s: send %d bytes of a frame of %d", c.Member.Name, n, len(frame))
	}
	err := c.s.guard(c.nc, func() error {
		_, err := c.nc.Write(frame[:n])
		return err
	})
	if err != nil {
		c.s.tb.Fatalf("chatroomtest: %s: send part of a frame: %v", c.Member.Name, err)
	}
}

// Receive returns the next message, or the error of [chatroom.Conn.Receive].
func (c *Client) Receive() (chatroom.Message, error) {
	ctx, cancel := c.s.timeout()
	defer cancel()
	return c.receive(ctx)
}

func (c *Client) receive(ctx context.Context) (chatroom.Message, error) {
	if len(c.pending) > 0 {
		m := c.pending[0]
		c.pending = slices.Delete(c.pending, 0, 1)
		return m, nil
	}
	return c.Conn.Receive(ctx)
}

// Want fails the test unless the next message is exactly this.
func (c *Client) Want(from, body string) {
	c.s.tb.Helper()
	m, err := c.Receive()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		c.s.tb.Fatalf("chatroomtest: %s: want %q from %q, got nothing; in the room: %s", c.Member.Name, body, from, c.s.names())
	case err != nil:
		c.s.tb.Fatalf("chatroomtest: %s: want %q from %q, got %v; in the room: %s", c.Member.Name, body, from, err, c.s.names())
	case m.From != from || string(m.Body) != body:
		c.s.tb.Fatalf("chatroomtest: %s: want %q from %q, got %q from %q; in the room: %s", c.Member.Name, body, from, m.Body, m.From, c.s.names())
	}
}

// WantNothing fails the test if there is a message, or the connection has ended.
//
// Inside a synctest bubble it is exact, and takes no time on the fake clock: it
// waits until every other goroutine of the bubble is durably blocked. As with
// [synctest.Wait], one goroutine at a time may do that. Outside a bubble it
// listens for 50 ms, so it can miss a message but never imagine one.
func (c *Client) WantNothing() {
	c.s.tb.Helper()
	var got received
	if c.s.bubble {
		got = c.receiveSettled()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), quietWindow)
		defer cancel()
		got.m, got.err = c.receive(ctx)
	}
	switch {
	case got.err == nil:
		c.s.tb.Fatalf("chatroomtest: %s: want nothing, got %q from %q; in the room: %s", c.Member.Name, got.m.Body, got.m.From, c.s.names())
	case !errors.Is(got.err, context.DeadlineExceeded) && !errors.Is(got.err, context.Canceled):
		c.s.tb.Fatalf("chatroomtest: %s: want nothing, got %v; in the room: %s", c.Member.Name, got.err, c.s.names())
	}
}

// receiveSettled receives what is there once the bubble has settled.
func (c *Client) receiveSettled() received {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if len(c.pending) > 0 {
		m, err := c.receive(ctx)
		return received{m, err}
	}
	got := c.receiving(ctx)
	synctest.Wait()
	cancel()
	return <-got
}

// WantClosed fails the test unless the next thing to come is the end of the
// connection, cleanly or not. Inside a bubble it waits for up to a day.
func (c *Client) WantClosed() {
	c.s.tb.Helper()
	switch m, err := c.Receive(); {
	case err == nil:
		c.s.tb.Fatalf("chatroomtest: %s: want the connection closed, got %q from %q; in the room: %s", c.Member.Name, m.Body, m.From, c.s.names())
	case errors.Is(err, context.DeadlineExceeded):
		c.s.tb.Fatalf("chatroomtest: %s: want the connection closed, but it is open; in the room: %s", c.Member.Name, c.s.names())
	}
}

// Close leaves with a goodbye: the stream ends between frames. It returns before
// the room has noticed; see [Server.WaitLeave].
func (c *Client) Close() {
	c.s.tb.Helper()
	if err := c.Conn.Close(); err != nil {
		c.s.tb.Fatalf("chatroomtest: %s: close: %v", c.Member.Name, err)
	}
}

// Cut ends the connection without a goodbye: the server finds it reset, or, on a
// Unix socket, which knows no resets, ended.
func (c *Client) Cut() {
	c.s.tb.Helper()
	if err := Reset(c.nc); err != nil {
		c.s.tb.Fatalf("chatroomtest: %s: cut: %v", c.Member.Name, err)
	}
}

package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing/synctest"
	"time"

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

// receiving receives on a goroutine, which ends with ctx and sends one result.
func (c *Client) receiving(ctx context.Context) <-chan received {
	got := make(chan received, 1)
	go func() {
		m, err := c.receive(ctx)
		got <- received{m, err}
	}()
	return got
}

// awaitJoin waits until the join hook tells of the client, or its connection ends.
func (c *Client) awaitJoin(ctx context.Context, name string) chatroom.Member {
	c.s.tb.Helper()
	who := fmt.Sprintf("join as %q", name)
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
				c.s.fail(who, "the server did not let it in: %v%s", r.err, c.s.whyEnded(c.nc.LocalAddr()))
			}
			c.pending = append(c.pending, r.m)
		case <-ctx.Done():
			if slices.ContainsFunc(c.s.Members(), func(m chatroom.Member) bool { return m.Name == name }) {
				c.s.fail(who, "it is in the room, but its join hooks have not returned\n\n%s", stacks())
			}
			c.s.fail(who, "the room does not list it")
		}
	}
}

// fail ends the test.
func (c *Client) fail(format string, args ...any) {
	c.s.tb.Helper()
	c.s.fail(c.Member.Name, format, args...)
}

// Send sends body as one message.
func (c *Client) Send(body string) {
	c.s.tb.Helper()
	ctx, cancel := c.s.timeout()
	defer cancel()
	if err := c.Conn.Send(ctx, []byte(body)); err != nil {
		c.s.awaitLeave(c.Member)
		c.fail("send %.100q: %v", body, err)
	}
}

// SendPart sends the first n bytes of body's frame, of which the header is ten,
// and leaves the frame unfinished. [Client.Send] afterwards continues in the
// middle of it.
func (c *Client) SendPart(body string, n int) {
	c.s.tb.Helper()
	frame := chatroom.AppendFrame(nil, []byte(body))
	if n < 0 || n > len(frame) {
		c.fail("send %d bytes of a frame of %d", n, len(frame))
	}
	err := c.s.guard(c.nc, func() error {
		_, err := c.nc.Write(frame[:n])
		return err
	})
	if err != nil {
		c.s.awaitLeave(c.Member)
		c.fail("send part of a frame: %v", err)
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
		c.fail("want %q from %q, got nothing", body, from)
	case err != nil:
		c.s.awaitLeave(c.Member)
		c.fail("want %q from %q, got %v", body, from, err)
	case m.From != from || string(m.Body) != body:
		c.fail("want %q from %q, got %q from %q", body, from, m.Body, m.From)
	}
}

// WantNothing fails the test if there is a message, or the connection has ended. It
// is for synctest bubbles, where it is exact and takes no time on the fake clock: like
// [synctest.Wait], which one goroutine at a time may call, it waits until all others are
// durably blocked. Outside a bubble it fails the test; see [Client.WantQuiet].
func (c *Client) WantNothing() {
	c.s.tb.Helper()
	if !c.s.bubble {
		c.s.tb.Fatal(outsideBubble)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := c.receiving(ctx)
	synctest.Wait()
	cancel()
	c.wantNone(<-got)
}

// outsideBubble is how WantNothing fails there.
const outsideBubble = "chatroomtest: WantNothing needs a synctest bubble, outside of which nobody can tell that nothing comes; WantQuiet listens for a while"

// WantQuiet fails the test if a message comes within d, or the connection ends. A
// message that comes later is missed.
func (c *Client) WantQuiet(d time.Duration) {
	c.s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	m, err := c.receive(ctx)
	c.wantNone(received{m, err})
}

// wantNone fails the test unless nothing was received.
func (c *Client) wantNone(got received) {
	c.s.tb.Helper()
	switch {
	case got.err == nil:
		c.fail("want nothing, got %q from %q", got.m.Body, got.m.From)
	case !errors.Is(got.err, context.DeadlineExceeded) && !errors.Is(got.err, context.Canceled):
		c.s.awaitLeave(c.Member)
		c.fail("want nothing, got %v", got.err)
	}
}

// WantClosed fails the test unless the next thing to come is the end of the
// connection, cleanly or not. Inside a bubble it waits for up to a day.
func (c *Client) WantClosed() {
	c.s.tb.Helper()
	switch m, err := c.Receive(); {
	case err == nil:
		c.fail("want the connection closed, got %q from %q", m.Body, m.From)
	case errors.Is(err, context.DeadlineExceeded):
		c.fail("want the connection closed, but it is open")
	}
}

// Drain reads and drops all that comes from now on, so that the member keeps up
// although the test does not look. It returns at once; the reading ends with the
// connection. What receives must not be called any more.
func (c *Client) Drain() {
	c.pending = nil
	go func() { // ends with the connection, which tb.Cleanup closes
		for _, err := range c.Conn.Messages(context.Background()) {
			if err != nil {
				return
			}
		}
	}()
}

// Close leaves with a goodbye: the stream ends between frames. It returns before
// the room has noticed; see [Server.WaitLeave].
func (c *Client) Close() {
	c.s.tb.Helper()
	if err := c.Conn.Close(); err != nil {
		c.fail("close: %v", err)
	}
}

// Cut ends the connection without a goodbye: the server finds it reset, or, on a
// Unix socket, which knows no resets, ended.
func (c *Client) Cut() {
	c.s.tb.Helper()
	if err := Reset(c.nc); err != nil {
		c.fail("cut: %v", err)
	}
}

package chatroom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// longAgo is a deadline that is always over.
var longAgo = time.Unix(1, 0)

// errMessagesUsed is yielded by a Messages iterator that is ranged over again.
var errMessagesUsed = errors.New("chatroom: Messages iterator used twice")

// A Message is one message that a member or the server's program sent.
type Message struct {
	From string // the sender's name
	Body []byte // the text; the receiver owns it
}

// A Conn is a client's connection to a chat room. All methods are safe for concurrent
// use. Messages that are sent concurrently arrive in some order, each whole.
type Conn struct {
	// Fixed after construction.
	redialer *redialer // does it all, with WithReconnect; nil without, as for each of its own
	nc       net.Conn
	layered  bool // nc is on top of another connection, as TLS is
	limit    int  // the longest payload in bytes

	closed atomic.Bool
	done   chan struct{} // closed by Close, after it sets closed

	// sending and receiving hold a token each while nobody sends or receives. They are
	// no locks, because they are kept across I/O.
	sending, receiving chan struct{}

	// Owned by the holder of sending.
	out     []byte
	sendErr error // that cut a frame short

	// Owned by the holder of receiving.
	in       frameReader
	from     string // the sender of the next message if haveFrom is set; else of the last
	haveFrom bool
	recvErr  error // that ended the stream
}

// Dial connects to the server at address and joins its room as name. The network and
// the address are [net.Dial]'s, unless [WithDialer] says otherwise. It blocks until the
// connection is made and the name is sent, or ctx ends. Later ctx has no effect on the
// Conn.
//
// The protocol has no answer to a name. A server that rejects it closes the connection,
// and [Conn.Receive] returns [io.EOF].
func Dial(ctx context.Context, network, address, name string, opts ...DialOption) (*Conn, error) {
	cfg := newDialConfig(opts)
	dial := func(ctx context.Context) (*Conn, error) {
		nc, err := cfg.dialer(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("chatroom: dial: %w", err)
		}
		return newConn(ctx, nc, name, cfg)
	}
	c, err := dial(ctx)
	if err == nil && cfg.reconnects {
		c = newReconnectingConn(c, cfg, dial)
	}
	return c, err
}

// NewConn joins a room as name, as [Dial] does, over a connection to its server that
// somebody else has made. From the call on nc belongs to the Conn. NewConn closes it if
// the name cannot be sent.
func NewConn(ctx context.Context, nc net.Conn, name string, opts ...DialOption) (*Conn, error) {
	return newConn(ctx, nc, name, newDialConfig(opts))
}

func newConn(ctx context.Context, nc net.Conn, name string, cfg dialConfig) (*Conn, error) {
	c := &Conn{
		nc:        nc,
		limit:     cfg.maxMessage,
		done:      make(chan struct{}),
		sending:   make(chan struct{}, 1),
		receiving: make(chan struct{}, 1),
	}
	_, c.layered = nc.(interface{ NetConn() net.Conn })
	c.in.limit = cfg.maxMessage
	c.sending <- struct{}{}
	c.receiving <- struct{}{}
	if _, err := c.sendFrame(ctx, "join", []byte(name)); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

// Send sends body as one message to everyone else in the room. It blocks until the
// connection has taken all of it, which may have to wait while the server holds its
// room for slower members. It keeps no part of body. An empty body is a message. If
// body is longer than [WithMaxMessage] allows, Send returns [ErrFrameTooLarge] and
// sends nothing.
//
// When ctx ends before any of the message is sent, Send returns an error that matches
// ctx.Err(), and can be called again. When ctx ends later, or the connection fails,
// half a message cannot be taken back: every later Send returns the same error, but
// messages can still be received. After [Conn.Close] the error matches [net.ErrClosed].
//
// The protocol has no acknowledgements: when Send returns nil, maybe nobody has
// received the message.
func (c *Conn) Send(ctx context.Context, body []byte) error {
	if c.redialer != nil {
		return c.redialer.send(ctx, body)
	}
	_, err := c.sendFrame(ctx, "send", body)
	return err
}

// sendFrame sends payload as one frame, and reports whether any of it may have gone out.
// Its errors say what for.
func (c *Conn) sendFrame(ctx context.Context, what string, payload []byte) (begun bool, err error) {
	if len(payload) > c.limit {
		return false, fmt.Errorf("%w: %s: %d bytes, the limit is %d", ErrFrameTooLarge, what, len(payload), c.limit)
	}
	if err := c.acquire(ctx, c.sending); err != nil {
		return false, fmt.Errorf("chatroom: %s: %w", what, err)
	}
	defer func() { c.sending <- struct{}{} }()
	if c.sendErr != nil {
		return false, c.sendErr
	}
	c.out = AppendFrame(c.out[:0], payload)
	err = c.interruptible(ctx, net.Conn.SetWriteDeadline, func() error {
		n, err := c.nc.Write(c.out)
		begun = n > 0 || c.layered // a layer may have sent a part of a record, which n does not count
		return err
	})
	if cap(c.out) > largeBuffer {
		c.out = nil
	}
	if err == nil {
		return true, nil
	}
	interrupted := err == ctx.Err()
	err = fmt.Errorf("chatroom: %s: %w", what, err)
	if begun || !interrupted {
		c.sendErr = err
	}
	return begun, err
}

// Receive returns the next message. It blocks until there is one, ctx ends or the
// connection does. When ctx ends the error matches ctx.Err(), no bytes are lost, and
// Receive can be called again. Concurrent calls each return a message of their own.
//
// All other errors are final. At a clean end, between messages, the error is [io.EOF].
// At the end of the stream anywhere else it is [io.ErrUnexpectedEOF]. If the peer breaks
// the protocol it is [ErrBadHeader] or [ErrFrameTooLarge]. After [Conn.Close] it matches
// [net.ErrClosed]. Receive does not close the connection: the caller does.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	if c.redialer != nil {
		return c.redialer.receive(ctx)
	}
	if err := c.acquire(ctx, c.receiving); err != nil {
		return Message{}, fmt.Errorf("chatroom: receive: %w", err)
	}
	defer func() { c.receiving <- struct{}{} }()
	for c.recvErr == nil {
		m, ok, err := c.nextMessage()
		if err != nil {
			c.recvErr = err
			break
		}
		if ok {
			return m, nil
		}
		err = c.interruptible(ctx, net.Conn.SetReadDeadline, func() error { return c.in.fill(c.nc) })
		switch {
		case err == nil:
		case err == ctx.Err():
			return Message{}, fmt.Errorf("chatroom: receive: %w", err)
		case err == io.EOF && !c.haveFrom:
			c.recvErr = io.EOF
		case err == io.EOF:
			c.recvErr = fmt.Errorf("chatroom: receive: %w", io.ErrUnexpectedEOF)
		default:
			c.recvErr = fmt.Errorf("chatroom: receive: %w", err)
		}
	}
	return Message{}, c.recvErr
}

// nextMessage returns the next message if both its frames have been read.
func (c *Conn) nextMessage() (m Message, ok bool, err error) {
	for {
		payload, ok, err := c.in.next()
		if !ok {
			return Message{}, false, err
		}
		if !c.haveFrom {
			if c.from != string(payload) { // else it needs no memory
				c.from = string(payload)
			}
			c.haveFrom = true
			continue
		}
		c.haveFrom = false
		return Message{From: c.from, Body: append([]byte{}, payload...)}, true, nil
	}
}

// Messages returns an iterator over the messages to come, as from [Conn.Receive]. It
// ends without an error where Receive returns [io.EOF]. Any other error, also that of
// ctx, is yielded once, and last. Leaving the loop loses no message. The iterator can be
// ranged over only once.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	var used atomic.Bool
	return func(yield func(Message, error) bool) {
		if used.Swap(true) {
			yield(Message{}, errMessagesUsed)
			return
		}
		for {
			m, err := c.Receive(ctx)
			if err == io.EOF {
				return
			}
			if !yield(m, err) || err != nil && err != ErrReconnected {
				return
			}
		}
	}
}

// LocalAddr returns the local address of the connection.
func (c *Conn) LocalAddr() net.Addr { return c.latest().LocalAddr() }

// RemoteAddr returns the server's address.
func (c *Conn) RemoteAddr() net.Addr { return c.latest().RemoteAddr() }

func (c *Conn) latest() net.Conn {
	if c.redialer != nil {
		return c.redialer.latest()
	}
	return c.nc
}

// acquire takes a token, unless ctx or the Conn has ended.
func (c *Conn) acquire(ctx context.Context, token chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-token:
		if c.closed.Load() {
			token <- struct{}{}
			return net.ErrClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return net.ErrClosed
	}
}

// interruptible calls op, an operation on the connection, and ends it early with
// ctx.Err() when ctx ends. It leaves no deadline behind. Once the Conn is closed every
// error is net.ErrClosed, whatever the transport calls it.
func (c *Conn) interruptible(ctx context.Context, setDeadline func(net.Conn, time.Time) error, op func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	if ctx.Done() == nil {
		err = op()
	} else {
		interrupted := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(interrupted)
			_ = setDeadline(c.nc, longAgo) // fails only when the connection has ended
		})
		err = op()
		if !stop() {
			<-interrupted
			_ = setDeadline(c.nc, time.Time{})
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = ctx.Err()
			}
		}
	}
	if err != nil && err != ctx.Err() && c.closed.Load() {
		return net.ErrClosed
	}
	return err
}

package wsroom

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// graceTimeout is how long the end of a connection waits for what usually takes a
// moment: that the close frame is taken, and that the peer answers it.
const graceTimeout = 500 * time.Millisecond

// longAgo is a deadline that is always over.
var longAgo = time.Unix(1, 0)

// errSilent ends the reading of a peer that has vanished. It matches
// os.ErrDeadlineExceeded.
var errSilent = fmt.Errorf("wsroom: no answer to two pings: %w", os.ErrDeadlineExceeded)

var _ net.Conn = (*conn)(nil)

// A conn is a stream over WebSocket. Each write that is not cut short is a message, and so is
// what goes on with one that was.
type conn struct {
	// Fixed after construction.
	nc   net.Conn
	open *atomic.Int64 // counts it among its handler's until it is closed; nil at the client's end

	// Owned by the holder of reading.
	dec     decoder
	early   []byte // read with the handshake, and not decoded
	readErr error  // that ended the stream

	// Owned by the holder of writing.
	enc encoder

	// arrivals counts what was read. With waiting it tells whether the peer is silent, or
	// nobody listens to it.
	arrivals atomic.Uint32
	waiting  atomic.Bool

	// mu guards the fields below. Setting deadlines and timers is all that is done while it is
	// held.
	mu          sync.Mutex
	state       connState
	ended       bool        // the peer has ended its half, or the connection is broken
	silent      bool        // the peer has vanished
	controlling bool        // the holder of writing writes control frames only
	ponging     bool        // a pong is to be sent
	ping        ws.OpCode   // a ping, or a pong that nobody asked for, is to be sent; zero for none
	beat        beat        // sends ping
	pong        []byte      // the payload of the pong
	asked       *asked      // nil at the client's end, and once the admit hooks have run
	reason      *CloseError // what the close frame says
	writeBy     time.Time   // the write deadline that the owner has set

	// reading and writing are held by whoever reads or writes.
	reading, writing token
}

// asked is what a connection of a handler's was asked for.
type asked struct {
	request *http.Request
	room    string
}

// A connState says what this end still does with a connection. Only moveLocked moves it.
type connState uint8

const (
	connOpen   connState = iota
	connEnding           // nothing but the close frame is written any more
	connClosed           // nothing is read any more, either
)

// What a close frame says if nobody says more.
var (
	errGoodbye   = &CloseError{Code: CodeNormal}
	errGoingAway = &CloseError{Code: CodeGoingAway} // of a server that has ended before the connection was its own
)

// newConn returns a stream over nc, whose handshake is over. What was read with it is early.
func newConn(nc net.Conn, client bool, early []byte) *conn {
	c := &conn{nc: nc, early: early, reason: errGoingAway}
	c.dec.masked, c.enc.masks = !client, client
	if client {
		c.reason = errGoodbye
	}
	return c
}

// isClient reports whether this is the client's end.
func (c *conn) isClient() bool { return c.enc.masks }

// moveLocked moves the connection to a later state, and reports false if it is there or has
// passed it. c.mu must be held.
func (c *conn) moveLocked(to connState) bool {
	if c.state >= to {
		return false
	}
	c.state = to
	return true
}

func (c *conn) reached(state connState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state >= state
}

func (c *conn) LocalAddr() net.Addr  { return c.nc.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Room returns the room that the request asked for. The server asks it before it runs the admit
// hooks.
func (c *conn) Room() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		return ""
	}
	return c.asked.room
}

// Admitted lets go of the request. The server calls it after the admit hooks, which are all who
// may see it: it takes more memory than the rest of an idle member.
func (c *conn) Admitted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = nil
}

// SetCloseReason sets what the close frame says. The server tells why it hangs up.
func (c *conn) SetCloseReason(reason error) {
	told := closeErrorFor(reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason = &told
}

// Read reads some of the payloads to come. It holds no bytes back: it reads into p and
// decodes there.
func (c *conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	err = c.BeginRead()
	defer c.EndRead()
	for n == 0 && err == nil {
		var k int
		k, err = c.readRaw(p)
		n, err = c.Unframe(p[:k], err)
	}
	return n, err
}

// readRaw reads what is to be decoded.
func (c *conn) readRaw(p []byte) (int, error) {
	if n := c.Early(p); n > 0 {
		return n, nil
	}
	if c.reached(connClosed) {
		return 0, net.ErrClosed
	}
	return c.nc.Read(p)
}

// BeginRead waits until nobody else reads. If the stream has ended, it returns why. EndRead must
// follow.
func (c *conn) BeginRead() error {
	c.take(&c.reading, nil)
	c.waiting.Store(true)
	return c.readErr
}

// EndRead ends what BeginRead began.
func (c *conn) EndRead() {
	c.waiting.Store(false)
	c.give(&c.reading)
}

// Early moves to p what was read with the handshake.
func (c *conn) Early(p []byte) int {
	n := copy(p, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return n
}

// Unframe decodes what was read into p, and then says what the error of that read means, if it
// was not payload. It returns the length of what was.
func (c *conn) Unframe(p []byte, err error) (int, error) {
	if len(p) > 0 {
		if n := c.decode(p); n > 0 {
			return n, nil
		}
	}
	if err != nil && c.readErr == nil {
		return 0, c.readError(err)
	}
	return 0, c.readErr
}

// decode decodes what was read into p, and returns the length of what is payload. It answers
// pings, and sets readErr where the stream ends.
func (c *conn) decode(p []byte) int {
	c.arrivals.Add(1)
	n, err := c.dec.decode(p)
	if c.dec.pinged {
		c.dec.pinged = false
		c.answerPing(c.dec.pong)
	}
	var broken *CloseError
	switch {
	case err == nil:
		return n
	case errors.As(err, &broken):
		c.readErr = broken
	case c.isClient() && !c.dec.end.isClean():
		c.readErr = c.dec.end
	default:
		c.readErr = io.EOF
	}
	c.mu.Lock()
	c.ended = c.ended || err == errEnd
	c.mu.Unlock()
	return n
}

// readError returns what a failed read of the connection below means.
func (c *conn) readError(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.silent:
		return errSilent
	case c.state == connClosed:
		return net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	c.ended = true
	if err == io.EOF {
		err = fmt.Errorf("wsroom: no close frame: %w", io.ErrUnexpectedEOF)
	}
	c.readErr = err
	return err
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == connClosed:
		return net.ErrClosed
	case c.silent:
		return nil
	}
	return c.nc.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	switch c.state {
	case connClosed:
		return net.ErrClosed
	case connEnding:
		return nil
	}
	return c.nc.SetWriteDeadline(t)
}

// A layeredConn is a conn on top of a layer such as TLS, which a write that is cut short
// breaks.
type layeredConn struct{ *conn }

// NetConn returns the layer.
func (c layeredConn) NetConn() net.Conn { return c.nc }

// asNetConn returns c as a connection that can do what the one below can.
func (c *conn) asNetConn() net.Conn {
	if _, ok := c.nc.(interface{ NetConn() net.Conn }); ok {
		return layeredConn{c}
	}
	return c
}

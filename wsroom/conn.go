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

const (
	// graceTimeout is how long the end of a connection waits for what usually takes a
	// moment: that the close frame is taken, and that the peer answers it.
	graceTimeout = 500 * time.Millisecond

	// maxWrite is about how many bytes go into one write of the connection below.
	maxWrite = 16 << 10
)

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
	nc      net.Conn
	request *http.Request // nil at the client's end
	room    string

	// reading and writing hold a token each while nobody reads or writes. They are no
	// locks, because they are kept across I/O.
	reading, writing chan struct{}

	// Owned by the holder of reading.
	dec     decoder
	early   []byte // read with the handshake, and not decoded
	readErr error  // that ended the stream

	// Owned by the holder of writing.
	enc encoder

	// arrivals counts what was read. With waiting it tells whether the peer is silent, or
	// nobody listens to it.
	arrivals atomic.Uint64
	waiting  atomic.Bool
	beat     beat

	// mu guards the fields below. Setting deadlines is all that is done while it is held.
	mu      sync.Mutex
	state   connState
	ended   bool       // the peer has ended its half, or the connection is broken
	silent  bool       // the peer has vanished
	writeBy time.Time  // the write deadline that the owner has set
	reason  CloseError // what the close frame says
	pong    []byte     // the payload of the pong that is to be sent
	pongs   bool       // there is one
	ping    ws.OpCode  // a ping, or a pong that nobody asked for, is to be sent; zero for none
}

// A connState says what this end still does with a connection. Only setState moves it.
type connState uint8

const (
	connOpen   connState = iota
	connEnding           // nothing but the close frame is written any more
	connClosed           // nothing is read any more, either
)

// newConn returns a stream over nc, whose handshake is over. What was read with it is early.
func newConn(nc net.Conn, client bool, early []byte) *conn {
	c := &conn{nc: nc, reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), early: early}
	c.dec.masked, c.enc.masks = !client, client
	c.reason = CloseError{Code: CodeGoingAway} // of a server that has ended before the connection was its own
	if client {
		c.reason = CloseError{Code: CodeNormal}
	}
	c.reading <- struct{}{}
	c.writing <- struct{}{}
	return c
}

// setState moves the connection to a later state, and reports false if it is there or has
// passed it.
func (c *conn) setState(to connState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
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

// Room returns the room that the request asked for. The server asks it.
func (c *conn) Room() string { return c.room }

// SetCloseReason sets what the close frame says. The server tells why it hangs up.
func (c *conn) SetCloseReason(reason error) {
	told := closeErrorFor(reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason = told
}

// Read reads some of the payloads to come. It holds no bytes back: it reads into p and
// decodes there.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	<-c.reading
	defer func() { c.reading <- struct{}{} }()
	for c.readErr == nil {
		n, err := c.readRaw(p)
		if n > 0 {
			if n = c.decode(p[:n]); n > 0 {
				return n, nil
			}
		}
		if err != nil {
			return 0, c.readError(err)
		}
	}
	return 0, c.readErr
}

// readRaw reads what is to be decoded.
func (c *conn) readRaw(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	c.early = nil
	if c.reached(connClosed) {
		return 0, net.ErrClosed
	}
	c.waiting.Store(true)
	n, err := c.nc.Read(p)
	c.waiting.Store(false)
	return n, err
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
	case c.enc.masks && !c.dec.end.isClean():
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

// scratches holds *[]byte with room for maxWrite bytes, and headers and control frames.
var scratches = sync.Pool{New: func() any {
	b := make([]byte, 0, maxWrite+256)
	return &b
}}

// Write writes p as one message, or as what is left of one that was cut short, and another
// one.
func (c *conn) Write(p []byte) (n int, err error) {
	<-c.writing
	defer c.doneWriting()
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	for n < len(p) && err == nil {
		if c.reached(connEnding) {
			return n, net.ErrClosed
		}
		c.addControls()
		head, most := c.enc.next(len(p) - n)
		b := (*scratch)[:0]
		b = append(b, head...)
		b = c.enc.encode(b, p[n:n+min(most, maxWrite)])
		var k int
		k, err = c.nc.Write(b)
		n += c.enc.wrote(max(k, 0))
	}
	if err != nil && c.reached(connEnding) {
		err = net.ErrClosed
	}
	return n, err
}

// doneWriting gives the token back, and sees to control frames that have come up meanwhile.
func (c *conn) doneWriting() {
	c.writing <- struct{}{}
	if c.hasControls() {
		c.startControls()
	}
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

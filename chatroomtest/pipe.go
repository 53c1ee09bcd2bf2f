package chatroomtest

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// network is the name of the in-memory network in addresses and errors.
const network = "pipe"

// An Addr is the address of one end of a connection in memory. The network is
// always "pipe".
type Addr string

var _ net.Addr = Addr("")

// Network returns "pipe".
func (Addr) Network() string { return network }

// String returns the address.
func (a Addr) String() string { return string(a) }

// newPipe returns the two ends of a [net.Pipe] with addresses, with the errors of the net
// package's connections, and with an end for [Reset]. There is no buffer: a write waits
// until all of it is read. Waiting is durably blocking in a bubble, and concurrent writes
// come out one after the other.
func newPipe(nearAddr, farAddr net.Addr) (near, far *pipe) {
	a, b := net.Pipe()
	near = &pipe{Conn: a, local: nearAddr, remote: farAddr, turn: make(chan struct{}, 1)}
	far = &pipe{Conn: b, local: farAddr, remote: nearAddr, turn: make(chan struct{}, 1), peer: near}
	near.peer = far
	return near, far
}

// A pipe is one end of a [net.Pipe].
type pipe struct {
	// Fixed after construction.
	net.Conn
	local, remote net.Addr
	peer          *pipe

	// turn holds a token while somebody writes. net.Pipe has a lock for that, and
	// waiting for a lock stops a bubble's clock.
	turn chan struct{}

	state atomic.Int32 // a pipeState
}

// A pipeState says how an end has ended.
type pipeState int32

const (
	pipeOpen   pipeState = iota
	pipeClosed           // by Close
	pipeReset            // by Reset
)

func (p *pipe) is(state pipeState) bool { return p.state.Load() == int32(state) }

func (p *pipe) LocalAddr() net.Addr  { return p.local }
func (p *pipe) RemoteAddr() net.Addr { return p.remote }

func (p *pipe) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil // net.Pipe would wait
	}
	n, err := p.Conn.Read(b)
	return n, p.error("read", err)
}

func (p *pipe) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil // net.Pipe would wait
	}
	p.turn <- struct{}{} // not for long after a deadline or the end, which also end the write before
	defer func() { <-p.turn }()
	n, err := p.Conn.Write(b)
	return n, p.error("write", err)
}

func (p *pipe) Close() error { return p.end(pipeClosed) }

func (p *pipe) reset() error { return p.end(pipeReset) }

func (p *pipe) end(how pipeState) error {
	if !p.state.CompareAndSwap(int32(pipeOpen), int32(how)) {
		return p.error("close", net.ErrClosed)
	}
	return p.Conn.Close()
}

func (p *pipe) SetDeadline(t time.Time) error      { return p.deadlineSet(p.Conn.SetDeadline(t)) }
func (p *pipe) SetReadDeadline(t time.Time) error  { return p.deadlineSet(p.Conn.SetReadDeadline(t)) }
func (p *pipe) SetWriteDeadline(t time.Time) error { return p.deadlineSet(p.Conn.SetWriteDeadline(t)) }

// deadlineSet returns err, of setting a deadline, but for what the other end's Close
// makes of it.
func (p *pipe) deadlineSet(err error) error {
	if p.is(pipeOpen) {
		return nil
	}
	return p.error("set", err)
}

// error says by what net calls it what net.Pipe has met.
func (p *pipe) error(op string, err error) error {
	if err == nil {
		return nil
	}
	if oe := (*net.OpError)(nil); errors.As(err, &oe) {
		err = oe.Err
	}
	if err == io.EOF || err == io.ErrClosedPipe {
		switch {
		case !p.is(pipeOpen):
			err = net.ErrClosed
		case p.peer.is(pipeReset):
			err = syscall.ECONNRESET
		case op == "write":
			err = syscall.EPIPE
		}
	}
	return opError(op, p, err)
}

// opError dresses err, of nc, as the net package does. An io.EOF stays bare.
func opError(op string, nc net.Conn, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: network, Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
}

// Reset closes nc without a goodbye, so that its peer finds it reset: reads and
// writes of the peer's match [syscall.ECONNRESET]. It does so for connections in
// memory, for TCP, and for whatever is on top of them and has a method NetConn that
// returns the connection below, as TLS has. Any other connection is closed: a Unix
// socket, for one, knows no resets.
//
// It does not block, is safe for concurrent use with all methods of nc, and returns
// what Close would.
func Reset(nc net.Conn) error {
	switch c := nc.(type) {
	case *Raw:
		return Reset(c.Conn)
	case interface{ reset() error }:
		return c.reset()
	case interface{ SetLinger(seconds int) error }:
		if err := c.SetLinger(0); err != nil {
			return err
		}
	case interface{ NetConn() net.Conn }:
		return Reset(c.NetConn())
	}
	return nc.Close()
}

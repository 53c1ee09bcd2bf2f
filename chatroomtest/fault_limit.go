package chatroomtest

import (
	"errors"
	"net"
	"sync/atomic"
)

// ErrDataLimit is what a connection of [LimitData] returns once it is cut.
var ErrDataLimit = errors.New("chatroomtest: data limit reached")

// LimitData returns nc with room for n bytes: it is closed by the write that
// brings what was written through it to n bytes, in any frame and at any byte.
// The peer reads exactly n bytes, then the end. What fits of a write goes out; if
// that is not all of it, the write returns how much, and an error that matches
// [ErrDataLimit], as all later reads and writes do until the caller's own Close.
// With zero or less nothing fits, and the first write of at least one byte closes
// nc.
//
// The connection can be used as nc can, its methods at once, and belongs to the
// caller, who still closes it. Other errors are nc's, and bytes that nc did not
// take do not count.
func LimitData(nc net.Conn, n int64) net.Conn {
	return &limitConn{fault: newFault(nc), left: max(n, 0)}
}

type limitConn struct {
	fault

	left   int64       // owned by who has the turn to write
	cut    atomic.Bool // nc has been closed at the limit
	closed atomic.Bool // by the caller
}

func (c *limitConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.error("read", err)
}

func (c *limitConn) Write(p []byte) (n int, err error) {
	defer c.takeTurn()()
	if fits := p[:min(int64(len(p)), c.left)]; len(fits) > 0 || len(p) == 0 {
		n, err = c.Conn.Write(fits)
		c.left -= int64(n)
	}
	if err != nil {
		return n, c.error("write", err)
	}
	if c.left == 0 && len(p) > 0 && !c.cut.Swap(true) {
		_ = c.Conn.Close() // it ends here, however it takes that
	}
	if n < len(p) {
		return n, c.error("write", net.ErrClosed)
	}
	return n, nil
}

func (c *limitConn) Close() error {
	if c.closed.Swap(true) || !c.cut.Load() {
		return c.Conn.Close()
	}
	return nil
}

func (c *limitConn) reset() error {
	c.closed.Store(true)
	return Reset(c.Conn)
}

// error says what ended nc, if the limit did, whatever nc calls it.
func (c *limitConn) error(op string, err error) error {
	if err != nil && c.cut.Load() && !c.closed.Load() {
		return opError(op, c.Conn, ErrDataLimit)
	}
	return err
}

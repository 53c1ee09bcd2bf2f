package chatroomtest

import (
	"errors"
	"fmt"
	"net"
)

// Reset closes nc without a goodbye, so that its peer finds it reset, at once and
// whatever is under way: reads and writes of the peer's match
// [syscall.ECONNRESET]. It does so for connections in memory, for TCP, and for
// what is on top of them: this package's faults, TLS, and whatever else has a
// method NetConn that returns the connection below. Any other connection is
// closed: a Unix socket, for one, knows no resets.
//
// It does not block. It may be called together with any method of nc's, which
// it ends like Close, and returns what Close would: [net.ErrClosed] if nc is
// closed already.
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

// CloseWrite ends the direction that nc writes: the peer reads what was written,
// then [io.EOF], while nc can still read. Later writes fail. It uses nc's method
// of that name or, if nc has none but has a method NetConn, that of the
// connection below. The error matches [errors.ErrUnsupported], and nothing is
// done, where the transport cannot, as the connections of [NewListener] and of
// [net.Pipe]; after nc's Close it is what nc says, mostly [net.ErrClosed].
//
// It may be called together with any method of nc's. It does not block, unless
// nc's method does: TLS has something to write.
func CloseWrite(nc net.Conn) error {
	switch c := nc.(type) {
	case *Raw:
		return CloseWrite(c.Conn)
	case interface{ CloseWrite() error }:
		return c.CloseWrite()
	case interface{ NetConn() net.Conn }:
		return CloseWrite(c.NetConn())
	}
	return fmt.Errorf("chatroomtest: close the writing side of %T: %w", nc, errors.ErrUnsupported)
}

// canCloseWrite reports whether CloseWrite of nc is supported.
func canCloseWrite(nc net.Conn) bool {
	switch c := nc.(type) {
	case *Raw:
		return canCloseWrite(c.Conn)
	case interface{ canCloseWrite() bool }:
		return c.canCloseWrite()
	case interface{ CloseWrite() error }:
		return true
	case interface{ NetConn() net.Conn }:
		return canCloseWrite(c.NetConn())
	}
	return false
}

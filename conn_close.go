package chatroom

import (
	"fmt"
	"time"
)

const (
	// goodbyeTimeout is how long Close waits for the server to end its side.
	goodbyeTimeout = 5 * time.Second

	// goodbyeQuiet is how long it waits while nothing comes: then there is
	// nothing unread that would make closing a reset, and servers in the
	// tutorials' style hang up only at the next event.
	goodbyeQuiet = time.Second
)

// Close leaves the room and closes the connection. Calls of Send and Receive
// that are blocked return an error that matches [net.ErrClosed]; messages not
// yet received are dropped.
//
// Over a transport that can end one direction (TCP, TLS, a Unix socket) it says
// goodbye first, and waits for the server to hang up, for up to 5 s, or 1 s while
// nothing comes, so that what was sent is not lost with the connection. TLS may
// take 5 s more to say it to a server that does not read.
//
// Close returns the connection's error, but not one that only repeats that the
// connection had failed before. It may be called more than once; later calls do
// nothing and return nil.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	close(c.done)
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok {
		return c.closeNow()
	}
	deadline := time.Now().Add(goodbyeTimeout)
	if c.nc.SetDeadline(longAgo) != nil {
		return c.closeNow()
	}
	// Whoever sends or receives has been interrupted and gives its token back,
	// if the connection's deadlines work.
	patience := time.NewTimer(goodbyeTimeout)
	defer patience.Stop()
	for _, token := range []chan struct{}{c.sending, c.receiving} {
		select {
		case <-token:
		case <-patience.C:
			return c.closeNow()
		}
	}
	if (c.sendErr == nil || !c.layered) && half.CloseWrite() == nil {
		c.hearOut(deadline)
	}
	if err := c.nc.Close(); err != nil && c.sendErr == nil && c.recvErr == nil {
		return fmt.Errorf("chatroom: close: %w", err)
	}
	return nil
}

// hearOut drops what the server still says, until it hangs up, is quiet, or the
// deadline comes.
func (c *Conn) hearOut(deadline time.Time) {
	buf := make([]byte, 4<<10)
	for now := time.Now(); now.Before(deadline); now = time.Now() {
		quiet := now.Add(min(goodbyeQuiet, deadline.Sub(now)))
		if c.nc.SetReadDeadline(quiet) != nil {
			return
		}
		if _, err := c.nc.Read(buf); err != nil {
			return
		}
	}
}

// closeNow closes the connection without a goodbye.
func (c *Conn) closeNow() error {
	if err := c.nc.Close(); err != nil {
		return fmt.Errorf("chatroom: close: %w", err)
	}
	return nil
}

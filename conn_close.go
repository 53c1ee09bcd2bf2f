package chatroom

import (
	"fmt"
	"time"
)

const (
	// goodbyeTimeout is how long Close waits for the server to end its side.
	goodbyeTimeout = 5 * time.Second

	// goodbyeQuiet is how long Close waits while nothing comes. Then nothing is unread
	// that would make closing a reset, and servers in the tutorials' style hang up
	// only at the next event.
	goodbyeQuiet = time.Second
)

// Close leaves the room and closes the connection. Calls of Send and Receive that are
// blocked return an error that matches [net.ErrClosed]. Messages that are not received
// yet are dropped.
//
// Over a transport that can end one direction (TCP, TLS, a Unix socket) it first says
// goodbye and waits until the server hangs up, so that what was sent is not lost with
// the connection. It waits for 5 s at most, and for 1 s while nothing comes. Over TLS
// it may take 5 s more if the server does not read.
//
// Close returns the error of closing the connection, unless the connection had failed
// before. It may be called more than once; later calls do nothing and return nil.
func (c *Conn) Close() error {
	if c.redialer != nil {
		return c.redialer.close()
	}
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
	// The deadline interrupts whoever sends or receives, if the connection's deadlines
	// work. Then the tokens come back.
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

// hearOut drops what the server still sends, until the server hangs up, is quiet for
// goodbyeQuiet, or the deadline comes.
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

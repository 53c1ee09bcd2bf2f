package transport

import (
	"errors"
	"os"
	"time"
)

// polled is a connection that is read and written to without waiting, once it tells
// that it can be.
type polled struct {
	base
	sock Pollable

	// The Read under way. Whoever reads owns these.
	in           Buffer
	read         int
	readErr      error
	readOnceFunc func() bool
}

func (c *polled) init(sock Pollable, writeTimeout time.Duration) {
	c.base.init(sock, writeTimeout)
	c.sock, c.readOnceFunc = sock, c.readOnce
}

// Read holds no buffer until there is something to read.
func (c *polled) Read(b Buffer) (int, error) {
	c.in, c.read, c.readErr = b, 0, nil
	if err := c.sock.AwaitRead(c.readOnceFunc); err != nil {
		return 0, err
	}
	return c.read, c.readErr
}

// readOnce makes one read, and reports whether there was anything to read.
func (c *polled) readOnce() bool {
	c.read, c.readErr = c.sock.TryRead(c.in.Space(true))
	if c.readErr == ErrWouldBlock {
		c.in.Park()
		return false
	}
	return true
}

func (c *polled) Polled() bool { return true }

func (c *polled) TryWrite(runs [][]byte) (int, error) {
	c.writes.Add(1)
	n, err := c.sock.TryWrite(runs)
	if err == ErrWouldBlock {
		err = nil
	}
	c.wrote(err)
	return n, err
}

// Write returns as soon as the connection has taken anything, so that progress
// shows.
func (c *polled) Write(runs [][]byte) (int, error) {
	start := time.Now()
	// Setting a deadline costs a timer, so that of an earlier write serves until it
	// has passed.
	if c.writeTimeout > 0 && !start.Before(c.writeBy) {
		c.SetWriteDeadline(start.Add(c.writeTimeout))
	}
	n, err := c.awaitWrite(runs)
	for errors.Is(err, os.ErrDeadlineExceeded) && !c.reached(connClosing) {
		// A socket wakes its writer only when a third of its buffer is free, so it may
		// take something now.
		c.SetWriteDeadline(time.Time{}) // or TryWrite would fail as well
		if n, err = c.TryWrite(runs); n > 0 || err != nil {
			return n, err
		}
		if time.Since(start) >= c.writeTimeout {
			return 0, stalled(c.writeTimeout, os.ErrDeadlineExceeded)
		}
		c.SetWriteDeadline(start.Add(c.writeTimeout)) // an earlier write's deadline has passed
		n, err = c.awaitWrite(runs)
	}
	return n, err
}

func (c *polled) awaitWrite(runs [][]byte) (int, error) {
	c.writes.Add(1)
	n, err := c.sock.AwaitWrite(runs)
	c.wrote(err)
	return n, err
}

func (c *polled) Abandon() {
	_ = c.sock.SetLinger(0) // fails only when the connection has ended
	c.Close()
}

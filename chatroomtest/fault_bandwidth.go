package chatroomtest

import (
	"net"
	"os"
	"sync"
	"time"
)

const (
	// bandwidthSteps is into how many steps Bandwidth divides a second, if that
	// leaves a byte for each.
	bandwidthSteps = 100

	// maxBandwidthStep bounds what is passed on at once, in bytes.
	maxBandwidthStep = 1 << 20
)

// Bandwidth returns nc with its writes paced to bytesPerSecond. It passes on a
// hundredth of a second's worth at a time, at least a byte, and after n bytes the
// next wait until n/bytesPerSecond of a second has passed: of 1000 bytes at 100
// per second the first goes at once, the last after 9.99 s, when the write
// returns. Time in which nothing is written, or nc does not take it, is not made
// up for. With zero or less there is no limit, and it returns nc itself.
//
// It holds the writer, and no bytes; [Latency] around it holds the bytes instead.
// Reads are not paced. A write that waits respects its deadline and Close, and
// returns how much went out. The connection can be used as nc can, its methods
// at once, and belongs to the caller as nc did. Pieces of concurrent writes are
// not mixed.
func Bandwidth(nc net.Conn, bytesPerSecond int) net.Conn {
	if bytesPerSecond <= 0 {
		return nc
	}
	c := &bandwidthConn{
		fault: newFault(nc),
		rate:  int64(bytesPerSecond),
		step:  min(max(bytesPerSecond/bandwidthSteps, 1), maxBandwidthStep),
	}
	c.changed.L = &c.mu
	return c
}

type bandwidthConn struct {
	fault

	// Fixed after construction.
	rate int64 // bytes per second
	step int   // bytes at once

	// Owned by who has the turn to write.
	free time.Time // from when on the next bytes may go
	owed int64     // of a nanosecond, in parts of which rate are one

	// mu guards the fields below. Nobody holds it while waiting.
	mu      sync.Mutex
	changed sync.Cond // of any of them, or the time
	closed  bool
	by      deadline
}

func (c *bandwidthConn) Write(p []byte) (n int, err error) {
	defer c.takeTurn()()
	for {
		if len(p) > 0 {
			if err := c.awaitFree(); err != nil {
				return n, opError("write", c, err)
			}
		}
		m, err := c.Conn.Write(p[n:min(len(p), n+c.step)])
		n += m
		c.occupy(m)
		if err != nil || n >= len(p) {
			return n, err
		}
	}
}

// occupy takes the line for as long as n bytes need.
func (c *bandwidthConn) occupy(n int) {
	if now := time.Now(); c.free.Before(now) {
		c.free, c.owed = now, 0
	}
	parts := c.owed + int64(n)*int64(time.Second)
	c.free = c.free.Add(time.Duration(parts / c.rate))
	c.owed = parts % c.rate
}

// awaitFree waits until the line is free.
func (c *bandwidthConn) awaitFree() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var wake *time.Timer
	for {
		wait := time.Until(c.free)
		switch {
		case c.closed:
			return net.ErrClosed
		case c.by.passed:
			return os.ErrDeadlineExceeded
		case wait <= 0:
			return nil
		case wake == nil:
			wake = time.AfterFunc(wait, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.changed.Broadcast()
			})
			defer wake.Stop()
		}
		c.changed.Wait()
	}
}

func (c *bandwidthConn) Close() error {
	c.end()
	return c.Conn.Close()
}

func (c *bandwidthConn) reset() error {
	c.end()
	return Reset(c.Conn)
}

// end wakes who waits, for the connection is closed.
func (c *bandwidthConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.by.stopLocked()
	c.changed.Broadcast()
}

func (c *bandwidthConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *bandwidthConn) SetWriteDeadline(t time.Time) error {
	if err := c.Conn.SetWriteDeadline(t); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by.setLocked(&c.changed, t)
	return nil
}

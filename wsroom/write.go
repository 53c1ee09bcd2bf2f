package wsroom

import (
	"net"
	"sync"
)

// maxWrite is about how many bytes go into one write of the connection below.
const maxWrite = 16 << 10

// scratches holds *[]byte with room for maxWrite bytes, and headers and control frames.
var scratches = sync.Pool{New: func() any {
	b := make([]byte, 0, maxWrite+256)
	return &b
}}

// Write writes p as one message, or as what is left of one that was cut short, and another
// one.
func (c *conn) Write(p []byte) (n int, err error) {
	err = c.beginWrite()
	defer c.endWrite()
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	for n < len(p) && err == nil {
		head, most := c.enc.next(len(p) - n)
		b := (*scratch)[:0]
		b = append(b, head...)
		b = c.enc.encode(b, p[n:n+min(most, maxWrite)])
		var k int
		k, err = c.nc.Write(b)
		n += c.enc.wrote(max(k, 0))
		if n < len(p) && err == nil {
			err = c.goOn()
		}
	}
	if err != nil && c.reached(connEnding) {
		err = net.ErrClosed
	}
	return n, err
}

// beginWrite takes writing, also if it returns an error.
func (c *conn) beginWrite() error {
	c.mu.Lock()
	if !c.writing.held {
		defer c.mu.Unlock()
		c.writing.held = true
		return c.readyLocked()
	}
	if c.controlling && c.state == connOpen {
		_ = c.nc.SetWriteDeadline(c.writeBy) // whoever waits to write does not wait longer than that
	}
	c.mu.Unlock()
	c.take(&c.writing, nil)
	return c.goOn()
}

// tryBeginWrite takes writing, also if it returns an error, unless somebody else has it.
func (c *conn) tryBeginWrite() (ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing.held {
		return false, nil
	}
	c.writing.held = true
	return true, c.readyLocked()
}

// goOn makes ready another write by the holder of writing.
func (c *conn) goOn() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readyLocked()
}

// readyLocked reports whether the holder of writing may write, and hands the encoder the
// control frames that wait. c.mu must be held.
func (c *conn) readyLocked() error {
	if c.state >= connEnding {
		return net.ErrClosed
	}
	c.addControlsLocked()
	return nil
}

// endWrite gives writing back, and sees to control frames that have come up meanwhile.
func (c *conn) endWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hasControlsLocked() && c.enc.between() {
		c.handToControlsLocked()
		return
	}
	c.writing.giveLocked()
}

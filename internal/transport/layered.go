package transport

import (
	"net"
	"os"
	"sync"
	"time"
)

// maxRecord is the most, in bytes, that is written to a layer at once: a TLS
// record.
const maxRecord = 16 << 10

// A layer is a connection on top of another one, such as a *tls.Conn.
type layer interface {
	net.Conn
	NetConn() net.Conn
}

// layered may write while it reads, as TLS does to answer a request for new keys.
// With a peer that takes nothing such a read never ends, whatever its deadline. So a
// read that is overdue closes the connection below.
type layered struct {
	base
	below net.Conn

	// mu guards the fields below.
	mu      sync.Mutex
	reading bool
	readBy  time.Time   // when reads fail; zero for never
	timer   *time.Timer // runs closeOverdue while a read is under way that has a deadline
	overdue bool        // a read was
}

func newLayered(nc layer, writeTimeout time.Duration) *layered {
	c := &layered{below: bottom(nc)}
	c.init(nc, writeTimeout)
	limitUnsent(c.below)
	return c
}

// bottom returns the connection below all layers.
func bottom(l layer) net.Conn {
	for {
		below := l.NetConn()
		next, ok := below.(layer)
		if !ok {
			return below
		}
		l = next
	}
}

func (c *layered) SetReadDeadline(t time.Time) {
	c.base.SetReadDeadline(t)
	c.watch(t)
}

func (c *layered) StopReading() {
	c.base.StopReading()
	c.watch(time.Now())
}

// watch sets the time by which reads, also one under way, must be over. They have
// graceTimeout more.
func (c *layered) watch(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reached(connStopped) {
		t = time.Now() // a SetReadDeadline may have begun before StopReading
	}
	c.readBy = t
	c.setTimerLocked()
}

// setTimerLocked starts or stops the timer. c.mu must be held.
func (c *layered) setTimerLocked() {
	switch {
	case !c.reading || c.readBy.IsZero():
		if c.timer != nil {
			c.timer.Stop()
		}
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(c.readBy)+graceTimeout, c.closeOverdue)
	default:
		c.timer.Reset(time.Until(c.readBy) + graceTimeout)
	}
}

// closeOverdue runs on a goroutine of the timer's.
func (c *layered) closeOverdue() {
	c.mu.Lock()
	overdue := c.reading && !c.readBy.IsZero() && time.Since(c.readBy) >= graceTimeout
	c.overdue = c.overdue || overdue
	c.mu.Unlock()
	if overdue {
		_ = c.below.Close() // the layer's own Close may write, too, and wait for the peer
	}
}

// setReading says that a read begins or is over, and returns whether one was
// overdue.
func (c *layered) setReading(reading bool) (overdue bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = reading
	c.setTimerLocked()
	return c.overdue
}

func (c *layered) Read(b Buffer) (int, error) {
	c.setReading(true)
	n, err := c.nc.Read(b.Space(false))
	if c.setReading(false) && err != nil {
		err = os.ErrDeadlineExceeded // whatever the end of the connection below made of it
	}
	return n, err
}

func (c *layered) Write(runs [][]byte) (int, error) {
	n, err := c.writePiece(runs, maxRecord)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.overdue {
			err = os.ErrDeadlineExceeded // of the read that has closed the connection below
		}
	}
	return n, err
}

func (c *layered) CheckPeer() error { return checkPeer(c.below, c.writeTimeout) }

// Goodbye's reads may write as well: they are overdue when its time is up.
func (c *layered) Goodbye() {
	c.mu.Lock()
	c.reading, c.readBy = true, time.Now()
	c.setTimerLocked()
	c.mu.Unlock()
	c.base.Goodbye()
	c.setReading(false)
}

func (c *layered) Close() {
	c.move(connClosing)
	_ = c.nc.SetWriteDeadline(longAgo) // the layer's Close may wait for a write, also one that a read makes
	_ = c.nc.Close()
}

func (c *layered) Abandon() {
	if l, ok := c.below.(lingerer); ok {
		_ = l.SetLinger(0) // fails only when the connection has ended
	}
	_ = c.below.Close() // first, or TLS says goodbye, for which it waits 5 s
	c.Close()
}

// A lingerer is a connection that can drop what is unsent, as a *net.TCPConn.
type lingerer interface{ SetLinger(sec int) error }

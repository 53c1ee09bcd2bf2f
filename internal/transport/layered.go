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

// layered may write while it reads, as TLS does to answer a request for new keys,
// and a peer that takes nothing then keeps the read for ever, whatever its
// deadline. So a read that is overdue ends the connection below.
type layered struct {
	base
	below net.Conn

	mu      sync.Mutex
	reading bool
	ended   bool        // a read was overdue
	readBy  time.Time   // when reads fail; zero for never
	overdue *time.Timer // runs while a read is under way that has a deadline
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

// watch ends the connection below unless a read that is under way, or begins
// later, ends a moment after t.
func (c *layered) watch(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reached(connStopped) {
		t = time.Now() // also for a SetReadDeadline that came before, and is here after
	}
	c.readBy = t
	c.watchLocked()
}

// watchLocked starts or stops the timer. c.mu must be held.
func (c *layered) watchLocked() {
	switch {
	case !c.reading || c.readBy.IsZero():
		if c.overdue != nil {
			c.overdue.Stop()
		}
	case c.overdue == nil:
		c.overdue = time.AfterFunc(time.Until(c.readBy)+lingerTimeout, c.endOverdue)
	default:
		c.overdue.Reset(time.Until(c.readBy) + lingerTimeout)
	}
}

// endOverdue runs on a goroutine of the timer's.
func (c *layered) endOverdue() {
	c.mu.Lock()
	overdue := c.reading && !c.readBy.IsZero() && time.Since(c.readBy) >= lingerTimeout
	c.ended = c.ended || overdue
	c.mu.Unlock()
	if overdue {
		_ = c.below.Close() // the layer's own Close may write, too, and wait for the peer
	}
}

// setReading says that a read begins or is over, and returns whether one was
// overdue.
func (c *layered) setReading(reading bool) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = reading
	c.watchLocked()
	return c.ended
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
	if err != nil && c.hasEnded() {
		err = os.ErrDeadlineExceeded // of the read that has ended the connection below
	}
	return n, err
}

func (c *layered) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func (c *layered) CheckPeer() error { return checkPeer(c.below, c.writeTimeout) }

// Goodbye watches its reads, too, which may write: they are overdue when its time is
// up.
func (c *layered) Goodbye() {
	c.mu.Lock()
	c.reading, c.readBy = true, time.Now()
	c.watchLocked()
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

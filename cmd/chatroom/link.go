package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// verdict is how long after connecting the end of the connection may mean
	// that the server has refused the name. The protocol has no answer to a name.
	verdict = time.Second

	// swiftVerdict is how long a server takes to refuse a name, at most, if it
	// is not busy. The network's time comes on top.
	swiftVerdict = 100 * time.Millisecond
)

// A link makes the connections to the server, one at a time, and remembers what
// the protocol does not say: how the latest is doing. A nil link is to a room of
// the program's own. Nothing can happen to it.
type link struct {
	// Fixed before the first dial.
	connect func(ctx context.Context) (net.Conn, error)
	again   bool              // when a connection has ended, there may be another
	notice  func(text string) // tells the user

	// mu guards the fields below.
	mu     sync.Mutex
	made   int       // how many connections there have been
	conn   *linkConn // the latest
	madeAt time.Time
	trip   time.Duration // how long it took to make
	err    error         // of the latest dial
	told   bool          // the user knows that there is no connection

	shunned bool // no connection has lasted since the user was told so
}

// dial connects to the server, and may do so again. It ignores the network and
// the address, which connect knows.
func (l *link) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if news := l.loss(); news != "" {
		l.notice(news)
	}
	began := time.Now()
	nc, err := l.connect(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = err; err != nil {
		return nil, err
	}
	l.madeAt, l.trip, l.told = time.Now(), time.Since(began), false
	l.made++
	l.conn = &linkConn{Conn: nc}
	if secure, ok := nc.(*tls.Conn); ok {
		return &secureLinkConn{l.conn, secure}, nil
	}
	return l.conn, nil
}

// loss returns what the user is to be told, if anything, before another dial: that the
// connection is lost, once for each, and of connections that never lasted once for all.
func (l *link) loss() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.told {
		return ""
	}
	l.told = true
	if l.lastedLocked() {
		l.shunned = false
		return "connection lost, connecting again"
	}
	if l.shunned {
		return ""
	}
	l.shunned = true
	return "the server hung up at once, trying again"
}

// lastedLocked reports whether the latest connection was more than a name that the
// server may have refused. l.mu must be held.
func (l *link) lastedLocked() bool { return l.conn.heard.Load() || time.Since(l.madeAt) > verdict }

// cameBack reports whether the connection before this one had lasted, so that the user
// was told of its loss.
func (l *link) cameBack() bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.shunned
}

// dialError returns why the latest dial failed, if it did.
func (l *link) dialError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// connectsAgain reports whether the end of a connection is not the end.
func (l *link) connectsAgain() bool { return l != nil && l.again }

// isLost reports whether the connection has ended, and there is no other.
func (l *link) isLost() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn.ended.Load()
}

// wasLost reports whether a connection has ended. What was sent over it may not
// have arrived.
func (l *link) wasLost() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made > 1 || l.conn.ended.Load()
}

// wasReset reports whether the server has reset the connection. It has then not
// taken all that was sent.
func (l *link) wasReset() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn.reset.Load()
}

// doubt returns how long to wait before a swift server would have refused the
// name. Zero means that it has not.
func (l *link) doubt() time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn.ended.Load() {
		return swiftVerdict // it has, or the next connection will tell
	}
	return max(0, min(2*l.trip+swiftVerdict, verdict)-time.Since(l.madeAt))
}

// isNew reports whether the connection was made so lately that its end may be
// the server's refusal of the name.
func (l *link) isNew() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.madeAt) <= verdict
}

// hangUp closes the connection without a goodbye. It also interrupts a goodbye
// under way.
func (l *link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return
	}
	nc := l.conn.Conn
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn() // closing secure would say goodbye
	}
	_ = nc.Close() // it fails if nc is closed already
}

// A linkConn is a connection that remembers how it has ended.
type linkConn struct {
	net.Conn
	heard atomic.Bool // something has come
	ended atomic.Bool
	reset atomic.Bool // the server has ended it, and not read everything
}

func (c *linkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.ended.Store(true)
	}
	if errors.Is(err, errConnReset) {
		c.reset.Store(true)
	}
	return n, err
}

func (c *linkConn) Close() error {
	c.ended.Store(true)
	return c.Conn.Close()
}

// CloseWrite ends this side of the connection.
func (c *linkConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// A secureLinkConn is a linkConn over TLS.
type secureLinkConn struct {
	*linkConn
	secure *tls.Conn
}

// NetConn returns the connection beneath TLS.
func (c *secureLinkConn) NetConn() net.Conn { return c.secure.NetConn() }

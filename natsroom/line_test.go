//go:build unix

package natsroom_test

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// A line is the way from a chat server to the engine, which can be cut. It is a dialer for
// [nats.SetCustomDialer].
type line struct {
	mu    sync.Mutex
	cut   bool         // nobody connects
	gates [2]chan bool // closed while reads, and writes, pass
}

const (
	inbound = iota
	outbound
)

func newLine() *line {
	l := &line{}
	l.heal()
	return l
}

// option is the line as an option of a connection.
func (l *line) option() nats.Option { return nats.SetCustomDialer(l) }

// stall has nothing pass in the directions given, and nobody connect. What is on its way
// arrives when the line is healed, unless the connection is closed first.
func (l *line) stall(directions ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, d := range directions {
		l.gates[d] = make(chan bool)
	}
}

func (l *line) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
	for d, gate := range l.gates {
		if gate == nil {
			l.gates[d] = make(chan bool)
		}
		select {
		case <-l.gates[d]:
		default:
			close(l.gates[d])
		}
	}
}

func (l *line) gate(direction int) <-chan bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gates[direction]
}

// Dial implements [nats.CustomDialer].
func (l *line) Dial(network, address string) (net.Conn, error) {
	l.mu.Lock()
	cut := l.cut
	l.mu.Unlock()
	if cut {
		return nil, syscall.EHOSTUNREACH
	}
	nc, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return &lineConn{Conn: nc, line: l, closed: make(chan struct{})}, nil
}

// A lineConn is a connection over a line.
type lineConn struct {
	net.Conn
	line   *line
	once   sync.Once
	closed chan struct{}

	mu       sync.Mutex
	deadline time.Time // for writes
}

func (c *lineConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

func (c *lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err := c.pass(inbound, nil); err != nil {
		return 0, err
	}
	return n, err
}

func (c *lineConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	var late <-chan time.Time
	if !deadline.IsZero() {
		late = time.After(time.Until(deadline))
	}
	if err := c.pass(outbound, late); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *lineConn) pass(direction int, late <-chan time.Time) error {
	for {
		gate := c.line.gate(direction)
		select {
		case <-gate:
			if gate == c.line.gate(direction) {
				return nil
			}
		case <-late:
			return os.ErrDeadlineExceeded
		case <-c.closed:
			return net.ErrClosed
		}
	}
}

func (c *lineConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

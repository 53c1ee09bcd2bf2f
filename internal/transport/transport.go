// Package transport is what a server's connection can do, as three kinds behind
// one interface:
//
//   - polled: a TCP or Unix socket of the system's. It is written to without
//     waiting, read when there is something to read, and holds a bounded number of
//     bytes that are not sent.
//   - layered: on top of another connection, as TLS is. It takes records, a write
//     that is cut cannot go on, and reading it may write.
//   - stream: anything else. A write that was cut can go on.
//
// Whoever uses a [Conn] need not know which it is.
package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// lingerTimeout is how long this end waits, when it is about to hang up, for
	// what a moment usually brings: the end of a write, the peer's own end.
	lingerTimeout = 500 * time.Millisecond

	// maxRecord is the most, in bytes, that is written to a layer at once: a TLS
	// record.
	maxRecord = 16 << 10

	// minPiece and maxPiece bound what is written at once where a write does not
	// return before all of it is taken, in bytes.
	minPiece = 1 << 10
	maxPiece = 64 << 10

	// slowWrite is about how long such a write may take.
	slowWrite = 100 * time.Millisecond

	// gatherBelow is the run, in bytes, that is worth such a write of its own although
	// there are more; shorter ones are copied together, up to gatherTo.
	gatherBelow = 8 << 10
	gatherTo    = 32 << 10
)

var (
	// ErrWouldBlock is returned by what does not wait when nothing can be done now.
	ErrWouldBlock = errors.New("transport: would block")

	// ErrStalled reports a peer that took nothing for as long as the write timeout
	// allows. The error also matches os.ErrDeadlineExceeded.
	ErrStalled = errors.New("the peer takes nothing")
)

// longAgo is a deadline that is always over.
var longAgo = time.Unix(1, 0)

// A Conn is a connection that one goroutine reads and one at a time writes to.
// Its other methods are safe for concurrent use.
type Conn interface {
	// SetReadDeadline sets when reads fail. It has no effect after StopReading.
	SetReadDeadline(t time.Time)

	// Read waits until there is something to read and reads some of it into b.
	Read(b Buffer) (n int, err error)

	// StopReading makes reads fail from now on, with an error that matches
	// os.ErrDeadlineExceeded, also one under way. It does not wait.
	StopReading()

	// Polled reports whether TryWrite may be called.
	Polled() bool

	// TryWrite writes as much of runs, one after the other, as can be written without
	// waiting.
	TryWrite(runs [][]byte) (n int, err error)

	// Write waits until it has written some of runs. It fails only when the connection
	// is broken, or with ErrStalled.
	Write(runs [][]byte) (n int, err error)

	// Check returns ErrStalled if the peer has answered nothing for the write timeout
	// although it should have, as one that has vanished, where the system can tell.
	Check() error

	// EndWrites says that no Write is to come for a while. Whoever writes calls it.
	EndWrites()

	// Goodbye says that nothing more is written, if there is a way to, and reads and
	// drops what the peer sends until it hangs up, for a moment: closing with bytes
	// unread would be a reset, and lose what is on its way to the peer.
	Goodbye()

	// Reset returns the reset that a write has met, or nil. It waits a moment for
	// writes under way, which may be about to meet one. The system tells of a reset
	// once: a read after that write sees an end of the stream like any other.
	Reset() error

	// Close closes the connection. What has been written is still sent.
	Close()

	// Abandon closes the connection and drops what is unsent, which the system would
	// otherwise keep for as long as the peer does not take it.
	Abandon()
}

// A Buffer is where a Read puts what it reads.
type Buffer interface {
	// Space returns where to read to. With ready set there is something to read, so
	// that it may be large; without, the read may wait for long.
	Space(ready bool) []byte

	// Park says that there was nothing to read after all.
	Park()
}

// A Pollable is a connection in memory that can be polled like a socket.
type Pollable interface {
	net.Conn

	// AwaitRead calls try when there may be something to read, the end of the stream
	// included, until try returns true. It returns an error, without calling try
	// again, when the read deadline passes or the connection is closed.
	AwaitRead(try func() bool) error

	// TryRead is Read without waiting. AwaitRead's try calls it.
	TryRead(p []byte) (int, error)

	// TryWrite writes as much of runs as can be written without waiting; AwaitWrite
	// waits until that is not nothing. TryRead and TryWrite return ErrWouldBlock if
	// nothing can be done.
	TryWrite(runs [][]byte) (int, error)
	AwaitWrite(runs [][]byte) (int, error)

	// SetLinger(0) makes Close drop what is unsent and reset the connection.
	SetLinger(sec int) error
}

// New returns nc as a Conn. The write timeout is how long a Write may take
// nothing at all; zero is no limit. It does not wait, and asks nc nothing but
// what it is.
func New(nc net.Conn, writeTimeout time.Duration) Conn {
	if c := newSocket(nc, writeTimeout); c != nil {
		return c
	}
	switch nc := nc.(type) {
	case Pollable:
		c := new(polled)
		c.init(nc, writeTimeout)
		return c
	case layer:
		return newLayered(nc, writeTimeout)
	}
	c := new(stream)
	c.init(nc, writeTimeout)
	return c
}

// A base is what the kinds share.
type base struct {
	// Fixed after construction.
	nc           net.Conn
	writeTimeout time.Duration

	state atomic.Int32 // a connState

	// Whoever writes owns these.
	writeBy time.Time // the write deadline
	piece   int       // how much is written at once, in bytes: what the peer takes in about slowWrite, so that its progress shows

	// writes counts the writes under way. One that meets a reset notes it in reset
	// before it is over; the last to end puts a token into quiet, if somebody waits.
	writes atomic.Int32
	reset  atomic.Pointer[error]
	quiet  atomic.Pointer[chan struct{}]
}

// A connState says what this end still does with a connection.
type connState int32

const (
	connOpen    connState = iota
	connStopped           // it reads no more; set before the read deadline is moved to the past
	connClosing           // it is being closed; set before the write deadline may be moved to the past
)

// move moves the connection to a later state, unless it is there or has passed it.
func (c *base) move(to connState) {
	for from := c.state.Load(); from < int32(to) && !c.state.CompareAndSwap(from, int32(to)); {
		from = c.state.Load()
	}
}

func (c *base) reached(state connState) bool { return c.state.Load() >= int32(state) }

func (c *base) init(nc net.Conn, writeTimeout time.Duration) {
	c.nc, c.writeTimeout, c.piece = nc, writeTimeout, minPiece
}

func (c *base) SetReadDeadline(t time.Time) {
	_ = c.nc.SetReadDeadline(t) // deadlines fail only when the connection has ended, which is told elsewhere
	if c.reached(connStopped) {
		_ = c.nc.SetReadDeadline(longAgo)
	}
}

func (c *base) StopReading() {
	c.move(connStopped)
	_ = c.nc.SetReadDeadline(longAgo)
}

func (c *base) Polled() bool { return false }

func (c *base) Check() error { return nil }

func (c *base) TryWrite([][]byte) (int, error) { return 0, errors.ErrUnsupported }

// EndWrites takes the write deadline back, which would end other writes as well:
// TryWrite, and those that a read makes.
func (c *base) EndWrites() {
	if !c.writeBy.IsZero() {
		c.setWriteBy(time.Time{})
	}
}

// writePiece makes one write of some of runs, of most bytes at the most.
func (c *base) writePiece(runs [][]byte, most int) (int, error) {
	p := runs[0]
	if len(runs) > 1 && len(p) < gatherBelow {
		scratch := scratches.Get().(*[gatherTo]byte)
		defer scratches.Put(scratch)
		p = gather(scratch[:0], runs)
	}
	p = p[:min(len(p), most, c.piece)]
	start := time.Now()
	// A deadline is a timer, which not every write is worth: that of a write a
	// moment ago serves as well. Met too early, the write goes on, where it can.
	if c.writeTimeout > 0 && c.writeBy.Sub(start) < c.writeTimeout-c.writeTimeout/16 {
		c.setWriteBy(start.Add(c.writeTimeout))
	}
	n, err := c.writeOnce(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(start) < c.writeTimeout {
		c.setWriteBy(start.Add(c.writeTimeout))
		n, err = c.writeOnce(p)
	}
	switch took := time.Since(start); {
	case took > slowWrite:
		c.piece = max(minPiece, int(int64(n)*int64(slowWrite)/int64(took)))
	case took < slowWrite/4:
		c.piece = min(maxPiece, 2*c.piece)
	}
	switch late := errors.Is(err, os.ErrDeadlineExceeded); {
	case late && n > 0:
		return n, nil
	case late:
		return 0, stalled(err)
	case err == nil && n < len(p):
		return n, io.ErrShortWrite
	}
	return n, err
}

// gather appends runs to p, as many as fit whole, so that gaps between them cost
// no writes.
func gather(p []byte, runs [][]byte) []byte {
	for _, run := range runs {
		if len(run) > cap(p)-len(p) {
			break
		}
		p = append(p, run...)
	}
	return p
}

// scratches holds *[gatherTo]byte.
var scratches = sync.Pool{New: func() any { return new([gatherTo]byte) }}

func (c *base) writeOnce(p []byte) (int, error) {
	c.writes.Add(1)
	n, err := c.nc.Write(p)
	c.wrote(err)
	return min(max(n, 0), len(p)), err
}

// setWriteBy moves the write deadline, unless the connection is being closed.
func (c *base) setWriteBy(t time.Time) {
	c.writeBy = t
	_ = c.nc.SetWriteDeadline(t)
	if c.reached(connClosing) {
		_ = c.nc.SetWriteDeadline(longAgo) // as it was, maybe a moment ago
	}
}

// wrote ends a write that returned err.
func (c *base) wrote(err error) {
	if err != nil && errors.Is(err, syscall.ECONNRESET) {
		reset := err // which a write without one needs no memory for
		c.reset.Store(&reset)
	}
	if c.writes.Add(-1) > 0 {
		return
	}
	if quiet := c.quiet.Load(); quiet != nil {
		select {
		case *quiet <- struct{}{}:
		default: // it holds a token already
		}
	}
}

// network returns the name of the network at the bottom of the connection, or
// nothing if it does not tell.
func (c *base) network() string {
	if addr := c.nc.RemoteAddr(); addr != nil {
		return addr.Network()
	}
	return ""
}

func (c *base) Reset() error {
	if c.writes.Load() > 0 && c.network() == "tcp" {
		quiet := make(chan struct{}, 1)
		c.quiet.Store(&quiet) // before looking again, so that the last write's end is seen or signalled
		if c.writes.Load() > 0 {
			timer := time.NewTimer(lingerTimeout)
			defer timer.Stop()
			select {
			case <-quiet:
			case <-timer.C:
			}
		}
	}
	if err := c.reset.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *base) Goodbye() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	switch network := c.network(); {
	case ok && half.CloseWrite() != nil:
		return
	case !ok && network != "tcp" && network != "unix": // nothing is lost with what is unread
		return
	}
	for deadline := time.Now().Add(lingerTimeout); time.Now().Before(deadline); {
		if c.nc.SetReadDeadline(deadline) != nil {
			return
		}
		if _, err := io.Copy(io.Discard, c.nc); !errors.Is(err, os.ErrDeadlineExceeded) {
			return // else a StopReading that came late may have moved the deadline
		}
	}
}

func (c *base) Close() {
	c.move(connClosing)
	_ = c.nc.Close() // there is nobody to tell, and nothing to do about it
}

func (c *base) Abandon() { c.Close() }

// stalled returns ErrStalled with its cause.
func stalled(cause error) error { return fmt.Errorf("%w: %w", ErrStalled, cause) }

// A stream is any connection of which nothing else is known.
type stream struct{ base }

// EndWrites does nothing: nobody else writes.
func (c *stream) EndWrites() {}

func (c *stream) Read(b Buffer) (int, error) { return c.nc.Read(b.Space(false)) }

func (c *stream) Write(runs [][]byte) (int, error) { return c.writePiece(runs, maxPiece) }

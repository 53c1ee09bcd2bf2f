// Package transport is what a server's connection can do, as three kinds behind
// one interface:
//
//   - polled: a TCP or Unix socket of the system's, or frames on top of one. It is written to without
//     waiting, read when there is something to read, and holds a bounded number of
//     bytes that are not sent.
//   - layered: on top of another connection, as TLS is. It takes records, a write
//     that is cut cannot go on, and reading it may write.
//   - stream: anything else. A write that was cut can go on.
//
// A caller need not know which kind its [Conn] is.
package transport

import (
	"errors"
	"net"
	"time"
)

// MaxRuns is how many runs one system call writes at most. Write and TryWrite leave
// the rest of a longer list unwritten.
const MaxRuns = 64

// graceTimeout is how long a connection that is about to close waits for what
// usually takes a moment: the end of a read or a write, the peer's own end.
const graceTimeout = 500 * time.Millisecond

var (
	// ErrWouldBlock reports that nothing can be read or written without waiting.
	ErrWouldBlock = errors.New("transport: would block")

	// ErrStalled reports a peer that took nothing for as long as the write timeout
	// allows. The error also matches os.ErrDeadlineExceeded.
	ErrStalled = errors.New("took nothing")
)

// longAgo is a deadline that is always over.
var longAgo = time.Unix(1, 0)

// A Conn is a connection. One goroutine at a time reads, which includes Goodbye,
// and one at a time writes, which includes setting the write deadline. The other methods are
// safe for concurrent use.
type Conn interface {
	// SetReadDeadline sets when reads fail. It has no effect after StopReading.
	SetReadDeadline(t time.Time)

	// Read waits until there is something to read and reads some of it into b.
	Read(b Buffer) (n int, err error)

	// StopReading makes reads fail from now on, also one under way, with an error
	// that matches os.ErrDeadlineExceeded. It does not wait.
	StopReading()

	// Polled reports whether TryWrite may be called.
	Polled() bool

	// TryWrite writes as much of runs, one after the other, as can be written without
	// waiting.
	TryWrite(runs [][]byte) (n int, err error)

	// Write waits until it has written some of runs. It fails only when the connection
	// is broken, or with ErrStalled.
	Write(runs [][]byte) (n int, err error)

	// SetWriteDeadline sets when writes fail, until the next Write may set it anew.
	SetWriteDeadline(t time.Time)

	// ClearWriteDeadline clears the deadline that Write has left, which would also
	// fail TryWrite, and a read that writes. It is called when no Write is to come
	// for a while.
	ClearWriteDeadline()

	// CheckPeer returns ErrStalled if the system knows that the peer has answered
	// nothing for the write timeout although it should have. Such a peer has vanished.
	CheckPeer() error

	// Goodbye ends this direction of the connection, if that is possible. Then, for a
	// moment, it reads and drops what the peer sends until the peer hangs up. Closing
	// with bytes unread sends a reset, which can destroy what is on its way to the
	// peer.
	Goodbye()

	// WriteReset returns the reset that a write has met, or nil. It waits a moment
	// for writes under way, which may be about to meet one. The system tells of a
	// reset once: a read after that write sees an ordinary end of the stream.
	WriteReset() error

	// Close closes the connection. What has been written is still sent.
	Close()

	// Abandon closes the connection and drops what is unsent. After Close the system
	// keeps that for as long as the peer does not take it.
	Abandon()
}

// A Buffer is where a Read puts what it reads.
type Buffer interface {
	// Space returns where to read to. If ready is set there is something to read, so
	// the space may be large. If not, the read may wait for long.
	Space(ready bool) []byte

	// Park says that there was nothing to read after all.
	Park()
}

// A Pollable is what can be polled: a socket, or a connection in memory that can do
// what a socket can.
type Pollable interface {
	net.Conn

	// AwaitRead calls try when there may be something to read, the end of the stream
	// included, until try returns true. It returns an error, without calling try
	// again, when the read deadline passes or the connection is closed.
	AwaitRead(try func() bool) error

	// TryRead is Read without waiting. Only AwaitRead's try calls it. It returns
	// ErrWouldBlock if there is nothing to read.
	TryRead(p []byte) (int, error)

	// TryWrite writes as much of runs as can be written without waiting, and returns
	// ErrWouldBlock if that is nothing.
	TryWrite(runs [][]byte) (int, error)

	// AwaitWrite is TryWrite, but waits until something can be written.
	AwaitWrite(runs [][]byte) (int, error)

	// SetLinger(0) makes Close drop what is unsent and reset the connection.
	SetLinger(sec int) error
}

// A Framed is a connection that puts the stream into frames on top of another connection,
// which Below returns, as WebSocket does. If that is a socket of the system's, the
// connection can be polled.
type Framed interface {
	net.Conn
	Below() net.Conn

	// BeginRead waits until nobody else reads. It returns why there is nothing more to read
	// of the stream, if that is so. EndRead must follow.
	BeginRead() error
	EndRead()

	// Early returns what was read before there was a server, and keeps no more of it than
	// does not fit into p.
	Early(p []byte) int

	// Unframe takes what was read from the connection below into p, and the error of that
	// read. It moves what belongs to the stream to the front of p and returns its length,
	// or what the error means for who reads the stream, or neither.
	Unframe(p []byte, err error) (int, error)

	// WriteFrames makes a write to the connection below, of some of runs and what frames
	// them, and returns how much of runs was written. If waits is not set it makes only
	// writes that need not wait, and none if somebody else is writing.
	WriteFrames(runs [][]byte, waits bool, below interface {
		TryWrite(runs [][]byte) (int, error)
		AwaitWrite(runs [][]byte) (int, error)
	}) (int, error)
}

// New returns nc as a Conn, and bounds what a socket holds unsent. Of an nc that it
// does not know it calls no method but NetConn. The write timeout is how long the
// peer may take nothing at all; zero is no limit.
func New(nc net.Conn, writeTimeout time.Duration) Conn {
	if c := newSocket(nc, writeTimeout); c != nil {
		return c
	}
	if f, ok := nc.(Framed); ok {
		if c := newFramed(f, writeTimeout); c != nil {
			return c
		}
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

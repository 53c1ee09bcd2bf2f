package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// minPiece and maxPiece bound one write on connections whose Write returns only
	// when all of it is taken, in bytes.
	minPiece = 1 << 10
	maxPiece = 64 << 10

	// slowWrite is about how long such a write may take.
	slowWrite = 100 * time.Millisecond

	// Runs shorter than gatherBelow are copied together, up to gatherTo bytes.
	gatherBelow = 8 << 10
	gatherTo    = 32 << 10
)

// A stream is any connection of which nothing else is known.
type stream struct{ base }

// ClearWriteDeadline does nothing: only Write writes, and sets its deadline anew.
func (c *stream) ClearWriteDeadline() {}

func (c *stream) Read(b Buffer) (int, error) { return c.nc.Read(b.Space(false)) }

func (c *stream) Write(runs [][]byte) (int, error) { return c.writePiece(runs, maxPiece) }

// writePiece makes one write of some of runs, at most that many bytes.
func (c *base) writePiece(runs [][]byte, most int) (int, error) {
	p := runs[0]
	if len(runs) > 1 && len(p) < gatherBelow {
		scratch := scratches.Get().(*[gatherTo]byte)
		defer scratches.Put(scratch)
		p = gather(scratch[:0], runs)
	}
	p = p[:min(len(p), most, c.piece)]
	start := time.Now()
	// Setting a deadline costs a timer, so that of a write a moment ago serves as
	// well. If it comes too early, the write is tried again.
	if c.writeTimeout > 0 && c.writeBy.Sub(start) < c.writeTimeout-c.writeTimeout/16 {
		c.SetWriteDeadline(start.Add(c.writeTimeout))
	}
	n, err := c.writeOnce(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(start) < c.writeTimeout {
		c.SetWriteDeadline(start.Add(c.writeTimeout))
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
	case late && c.reached(connClosing): // Close has moved the deadline
		return 0, net.ErrClosed
	case late:
		return 0, stalled(c.writeTimeout, err)
	case err == nil && n < len(p):
		return n, io.ErrShortWrite
	}
	return n, err
}

// gather appends to p as many of runs as fit whole.
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

package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A base is what the kinds share. Here and elsewhere in the package a field whose
// name ends in Func holds a method. It is bound once, so that using it needs no
// memory.
type base struct {
	// Fixed after construction.
	nc           net.Conn
	writeTimeout time.Duration

	state atomic.Int32 // a connState

	// Owned by the writer.
	writeBy time.Time // the write deadline
	piece   int       // how many bytes writePiece writes at once: what the peer takes in about slowWrite, so that its progress shows

	// writes counts the writes under way. Before a write that meets a reset leaves the
	// count, it stores the reset. The last one to leave puts a token into allWritten,
	// if WriteReset waits.
	writes     atomic.Int32
	writeReset atomic.Pointer[error]
	allWritten atomic.Pointer[chan struct{}]
}

// A connState says what this end still does with a connection.
type connState int32

const (
	connOpen    connState = iota // it reads and writes
	connStopped                  // it reads no more; set before the read deadline is moved to the past
	connClosing                  // it is being closed; set before the write deadline may be moved to the past
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

func (c *base) CheckPeer() error { return checkPeer(c.nc, c.writeTimeout) }

func (c *base) TryWrite([][]byte) (int, error) { return 0, errors.ErrUnsupported }

func (c *base) ClearWriteDeadline() {
	if !c.writeBy.IsZero() {
		c.SetWriteDeadline(time.Time{})
	}
}

func (c *base) SetWriteDeadline(t time.Time) {
	c.writeBy = t
	_ = c.nc.SetWriteDeadline(t)
	if c.reached(connClosing) {
		_ = c.nc.SetWriteDeadline(longAgo) // Close may have set it just before
	}
}

// wrote ends a write that returned err.
func (c *base) wrote(err error) {
	if err != nil && errors.Is(err, syscall.ECONNRESET) {
		reset := err // a copy, since err itself would need memory at each write
		c.writeReset.Store(&reset)
	}
	if c.writes.Add(-1) > 0 {
		return
	}
	if done := c.allWritten.Load(); done != nil {
		select {
		case *done <- struct{}{}:
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

func (c *base) WriteReset() error {
	if c.writes.Load() > 0 && c.network() == "tcp" {
		done := make(chan struct{}, 1)
		c.allWritten.Store(&done) // before looking again, so that the last write's end is seen or signalled
		if c.writes.Load() > 0 {
			timer := time.NewTimer(graceTimeout)
			defer timer.Stop()
			select {
			case <-done:
			case <-timer.C:
			}
		}
	}
	if err := c.writeReset.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *base) Goodbye() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	switch network := c.network(); {
	case ok && half.CloseWrite() != nil:
		return
	case !ok && network != "tcp" && network != "unix": // closing sends no reset
		return
	}
	for deadline := time.Now().Add(graceTimeout); time.Now().Before(deadline); {
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
func stalled(timeout time.Duration, cause error) error {
	return fmt.Errorf("%w for %v: %w", ErrStalled, timeout, cause)
}

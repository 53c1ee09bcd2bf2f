package chatroomtest

import (
	"io"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// lineSteps is how many steps a second a line of limited rate delivers in, unless a
// step would be less than a byte.
const lineSteps = 100

// A flow is one direction of a [Link].
type flow struct {
	size int // how many bytes it holds at most

	// mu guards the fields below. Nobody holds it while waiting.
	mu      sync.Mutex
	changed sync.Cond // signalled when a field below changes, or at a set time

	queue  []piece     // written and not read, in order
	held   int         // how many bytes are in queue
	freeAt time.Time   // when the line has sent all that was written
	wake   *time.Timer // broadcasts when something arrives; nil until first needed

	// The line.
	latency time.Duration
	rate    int   // bytes per second; zero is no limit
	slice   int   // bytes of a read; zero is no limit
	left    int64 // bytes until it is cut; negative is never

	readsStalled, writesStalled bool

	writing bool      // a write is under way; others wait for their turn
	ended   bool      // nothing more is written; the end follows the last byte
	endAt   time.Time // when the end arrives
	readErr error     // what reads return, even if bytes are held
	sendErr error     // what writes return

	readBy, writeBy deadline
}

// A piece is some bytes that were written together.
type piece struct {
	b     []byte
	taken int       // bytes that were read
	at    time.Time // when the first of them begins to arrive
	rate  int       // the line's, when it was written
}

func newFlow(size int) *flow {
	switch {
	case size == 0:
		size = defaultLinkSize
	case size < 0:
		size = math.MaxInt
	}
	f := &flow{size: size, left: -1}
	f.changed.L = &f.mu
	return f
}

// set changes fields of the flow, and wakes all who wait.
func (f *flow) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.changed.Broadcast()
}

func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case f.readErr != nil:
			return 0, f.readErr
		case f.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case f.readsStalled:
		default:
			if n := f.takeLocked(p, now); n > 0 {
				return n, nil
			}
			if f.ended && len(f.queue) == 0 && !now.Before(f.endAt) {
				return 0, io.EOF
			}
			f.wakeLocked(now)
		}
		f.changed.Wait()
	}
}

// takeLocked moves what has arrived to p. f.mu must be held.
func (f *flow) takeLocked(p []byte, now time.Time) (n int) {
	if f.slice > 0 {
		p = p[:min(len(p), f.slice)]
	}
	for len(f.queue) > 0 {
		first := &f.queue[0]
		m := copy(p[n:], first.b[first.taken:max(first.arrived(now), first.taken)])
		n += m
		if first.taken += m; first.taken < len(first.b) {
			break
		}
		f.queue[0] = piece{} // so that its bytes can be freed
		f.queue = f.queue[1:]
	}
	if f.held -= n; n > 0 {
		f.changed.Broadcast()
	}
	return n
}

// arrived returns how many of the piece's bytes have arrived.
func (p *piece) arrived(now time.Time) int {
	switch since := now.Sub(p.at); {
	case since < 0:
		return 0
	case p.rate == 0 || since >= lineTime(len(p.b), p.rate):
		return len(p.b)
	default:
		step := max(p.rate/lineSteps, 1)
		return int(int64(since)*int64(p.rate)/int64(time.Second)) / step * step
	}
}

// nextAt returns when the next of the piece's bytes arrive.
func (p *piece) nextAt() time.Time {
	if p.rate == 0 {
		return p.at
	}
	step := max(p.rate/lineSteps, 1)
	return p.at.Add(lineTime(min((p.taken/step+1)*step, len(p.b)), p.rate))
}

// lineTime returns how long a line takes for n bytes.
func lineTime(n, rate int) time.Duration {
	parts := int64(n) * int64(time.Second)
	return time.Duration((parts + int64(rate) - 1) / int64(rate))
}

// wakeLocked sets the timer for what arrives next, if anything does. f.mu must be
// held.
func (f *flow) wakeLocked(now time.Time) {
	var at time.Time
	switch {
	case len(f.queue) > 0:
		at = f.queue[0].nextAt()
	case f.ended:
		at = f.endAt
	default:
		return
	}
	if f.wake == nil {
		f.wake = time.AfterFunc(at.Sub(now), func() { f.set(func() {}) })
	} else {
		f.wake.Reset(at.Sub(now))
	}
}

// write writes p. cut reports whether the caller has to cut the line behind it.
func (f *flow) write(p []byte) (n int, cut bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.writing && len(p) > 0 && f.writeErrLocked() == nil {
		f.changed.Wait()
	}
	if err := f.writeErrLocked(); err != nil || len(p) == 0 {
		return 0, false, err
	}
	f.writing = true
	defer func() {
		f.writing = false
		f.changed.Broadcast() // it is another's turn
	}()
	for {
		if err := f.writeErrLocked(); err != nil {
			return n, false, err
		}
		fits := min(len(p)-n, f.size-f.held)
		if f.left >= 0 {
			fits = int(min(int64(fits), f.left))
		}
		if f.writesStalled || fits == 0 {
			f.changed.Wait()
			continue
		}
		f.sendLocked(p[n : n+fits])
		if n += fits; f.left == 0 || n == len(p) {
			return n, f.left == 0, nil
		}
	}
}

// sendLocked puts a copy of b on the line. f.mu must be held.
func (f *flow) sendLocked(b []byte) {
	now := time.Now()
	if f.freeAt.Before(now) {
		f.freeAt = now
	}
	f.queue = append(f.queue, piece{b: slices.Clone(b), at: f.freeAt.Add(f.latency), rate: f.rate})
	if f.held += len(b); f.left > 0 {
		f.left -= int64(len(b))
	}
	if f.rate > 0 {
		f.freeAt = f.freeAt.Add(lineTime(len(b), f.rate))
	}
	f.changed.Broadcast()
}

// writeErrLocked returns why writes fail now, or nil. f.mu must be held.
func (f *flow) writeErrLocked() error {
	if f.sendErr == nil && f.writeBy.passed {
		return os.ErrDeadlineExceeded
	}
	return f.sendErr
}

// endWriter ends the flow behind what was written, and makes writes return err. If reset
// is not nil it drops what is held, and makes reads return reset. It returns false if the
// writing end was closed before.
func (f *flow) endWriter(err, reset error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sendErr == net.ErrClosed {
		return false
	}
	f.sendErr = err
	if reset != nil && f.readErr == nil {
		f.readErr = reset
		f.dropLocked()
	}
	f.endLocked()
	f.writeBy.stopLocked()
	f.changed.Broadcast()
	return true
}

// endLocked ends the flow behind what was written. f.mu must be held.
func (f *flow) endLocked() {
	if f.ended {
		return
	}
	f.ended, f.endAt = true, time.Now()
	if f.freeAt.After(f.endAt) {
		f.endAt = f.freeAt
	}
	f.endAt = f.endAt.Add(f.latency)
}

// endReader closes the reading end: reads then return readErr, and writes sendErr.
func (f *flow) endReader(readErr, sendErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readErr = readErr
	if f.sendErr == nil {
		f.sendErr = sendErr
	}
	f.readBy.stopLocked()
	f.dropLocked()
}

// dropLocked forgets what is held. f.mu must be held.
func (f *flow) dropLocked() {
	f.queue, f.held = nil, 0
	if f.wake != nil {
		f.wake.Stop()
	}
	f.changed.Broadcast()
}

// endWrites ends the flow behind what was written. The writing end stays open.
func (f *flow) endWrites() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.sendErr {
	case nil:
		f.sendErr = syscall.EPIPE
		f.endLocked()
		f.changed.Broadcast()
		return nil
	case syscall.EPIPE: // the reader has closed, or has been told
		return nil
	}
	return f.sendErr
}

// setDeadline sets one of the flow's deadlines, unless that end is closed, as err says.
func (f *flow) setDeadline(d *deadline, err *error, t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *err == net.ErrClosed {
		return net.ErrClosed
	}
	d.setLocked(&f.changed, t)
	return nil
}

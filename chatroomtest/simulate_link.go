package chatroomtest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// unlimited is the credit of a client that takes whatever comes.
const unlimited = -1

// maxChopped is how many reads are cut short, of those on links that do.
const maxChopped = 500

// A simLink is the server's end of a simulated connection. The client's end has
// no goroutine: what it sends is put into the link, and how it reads is a number,
// the bytes that it still takes.
type simLink struct {
	// Fixed after construction.
	addr    Addr
	chop    int  // the most bytes that one Read returns; 0 is no limit
	patient bool // reading it ends with the server only, whatever deadlines lie ahead

	// mu guards the fields below and is never held while waiting.
	mu    sync.Mutex
	moved *sync.Cond // anything below has changed

	// From the client.
	in      []byte
	gone    error // what Read returns when in is empty
	chopped int   // reads that were cut short

	// To the client.
	out    []byte        // taken, and not yet looked at
	credit int           // bytes that the client still takes, or unlimited
	refill int           // what a slow client takes more
	every  time.Duration // this often
	refuse error         // what Write returns: the client has closed or reset

	// The server's own doing.
	closed            bool
	readBy, writeBy   time.Time
	readDue, writeDue *time.Timer

	// What the model judges timeouts by.
	reading, writing bool      // a call waits
	readSince        time.Time // when the last Read began
	hungry           time.Time // since when what is being written has not moved
	starving         bool      // the last write was not taken whole
	taken            int64     // bytes
	written          int64     // of them, before what is being written, be it in several calls
}

var _ net.Conn = (*simLink)(nil)

func newSimLink(addr Addr, chop int) *simLink {
	l := &simLink{addr: addr, chop: chop, credit: unlimited}
	l.moved = sync.NewCond(&l.mu)
	return l
}

// The kinds of connection that the server treats differently: simHalf can end one
// direction, simFile can go on writing after a deadline, simBoth can do both.
type (
	simHalf struct{ *simLink }
	simFile struct{ *simLink }
	simBoth struct{ simHalf }
)

// CloseWrite ends what the client reads.
func (simHalf) CloseWrite() error { return nil }

// SyscallConn returns [errors.ErrUnsupported]. That there is such a method is
// what the server looks for.
func (simFile) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// SyscallConn is simFile's.
func (simBoth) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// conn returns l as a connection of one of those kinds.
func (l *simLink) conn(half, file bool) net.Conn {
	switch {
	case half && file:
		return simBoth{simHalf{l}}
	case half:
		return simHalf{l}
	case file:
		return simFile{l}
	}
	return l
}

func (l *simLink) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readSince = time.Now()
	l.reading = true
	defer func() { l.reading = false }()
	for {
		switch {
		case l.closed:
			return 0, l.opError("read", net.ErrClosed)
		case past(l.readBy):
			return 0, l.opError("read", os.ErrDeadlineExceeded)
		case len(l.in) > 0:
			if l.chop > 0 && l.chopped < maxChopped {
				p = p[:min(len(p), l.chop)]
				l.chopped++
			}
			n := copy(p, l.in)
			l.in = l.in[n:]
			return n, nil
		case l.gone == io.EOF:
			return 0, io.EOF
		case l.gone != nil:
			return 0, l.opError("read", l.gone)
		}
		l.arm(&l.readDue, l.readBy)
		l.moved.Wait()
	}
}

func (l *simLink) Write(p []byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.starving {
		l.hungry, l.starving, l.written = time.Now(), true, l.taken
	}
	l.writing = true
	defer func() { l.writing = false }()
	for {
		switch {
		case l.closed:
			return n, l.opError("write", net.ErrClosed)
		case l.refuse != nil:
			return n, l.opError("write", l.refuse)
		case past(l.writeBy):
			return n, l.opError("write", os.ErrDeadlineExceeded)
		}
		take := len(p) - n
		if l.credit != unlimited {
			take = min(take, l.credit)
			l.credit -= take
		}
		if take > 0 {
			l.out = append(l.out, p[n:n+take]...)
			l.taken += int64(take)
			l.hungry = time.Now()
			n += take
		}
		if n == len(p) {
			l.starving = false
			return n, nil
		}
		if l.refill > 0 {
			time.AfterFunc(l.every, l.fillUp)
		}
		before := l.credit
		for before == l.credit && !l.closed && l.refuse == nil && !past(l.writeBy) {
			l.arm(&l.writeDue, l.writeBy)
			l.moved.Wait()
		}
	}
}

// fillUp lets a slow client take more.
func (l *simLink) fillUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.credit != unlimited {
		l.credit += l.refill
	}
	l.moved.Broadcast()
}

// Close ends the server's end.
func (l *simLink) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.opError("close", net.ErrClosed)
	}
	l.closed = true
	stopTimer(l.readDue)
	stopTimer(l.writeDue)
	l.moved.Broadcast()
	return nil
}

func (l *simLink) LocalAddr() net.Addr  { return Addr(network) }
func (l *simLink) RemoteAddr() net.Addr { return l.addr }

func (l *simLink) SetDeadline(t time.Time) error {
	return errors.Join(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

func (l *simLink) SetReadDeadline(t time.Time) error {
	if l.patient && !past(t) {
		t = time.Time{}
	}
	return l.setDeadline(&l.readBy, &l.readDue, t)
}

func (l *simLink) SetWriteDeadline(t time.Time) error {
	return l.setDeadline(&l.writeBy, &l.writeDue, t)
}

func (l *simLink) setDeadline(by *time.Time, due **time.Timer, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.opError("set", net.ErrClosed)
	}
	*by = t
	stopTimer(*due)
	*due = nil
	l.moved.Broadcast()
	return nil
}

// arm sees to it that a wait ends with its deadline. l.mu must be held.
func (l *simLink) arm(due **time.Timer, by time.Time) {
	if !by.IsZero() && *due == nil {
		*due = time.AfterFunc(time.Until(by), l.wake)
	}
}

func (l *simLink) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved.Broadcast()
}

// send is the client's writing. It does not wait.
func (l *simLink) send(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = append(l.in, p...)
	l.moved.Broadcast()
}

// end is the client's end: of its writing, and if refuse is set, of its reading
// too. A reset takes back what the server has not read.
func (l *simLink) end(gone, refuse error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone, l.refuse = gone, refuse
	if gone != io.EOF {
		l.in = nil
	}
	l.moved.Broadcast()
}

// take sets how the client reads from now on.
func (l *simLink) take(credit, refill int, every time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.credit, l.refill, l.every = credit, refill, every
	if refill > 0 {
		time.AfterFunc(every, l.fillUp) // a write may be waiting already
	}
	l.moved.Broadcast()
}

// A linkState is what there is to see of a link at one moment.
type linkState struct {
	there            bool // the client has not closed or reset
	eager            bool // and takes whatever comes
	closed           bool // by the server
	taken, written   int64
	reading, writing bool
	readSince        time.Time
	hungry           time.Time
	starving         bool
}

func (l *simLink) look() linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return linkState{
		there:     l.refuse == nil,
		eager:     l.refuse == nil && l.credit == unlimited,
		closed:    l.closed,
		taken:     l.taken,
		written:   l.written,
		reading:   l.reading,
		writing:   l.writing,
		readSince: l.readSince,
		hungry:    l.hungry,
		starving:  l.starving,
	}
}

// receive takes out what the client has received.
func (l *simLink) receive() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.out
	l.out = nil
	return out
}

func (l *simLink) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: network, Source: l.LocalAddr(), Addr: l.addr, Err: err}
}

// past reports whether a deadline is over.
func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func stopTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// A simListener hands links to the server.
type simListener struct {
	mu      sync.Mutex
	moved   *sync.Cond
	pending []net.Conn
	closed  bool
}

var _ net.Listener = (*simListener)(nil)

func newSimListener() *simListener {
	l := new(simListener)
	l.moved = sync.NewCond(&l.mu)
	return l
}

// dial reports whether anybody still listens.
func (l *simListener) dial(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.pending = append(l.pending, nc)
	l.moved.Broadcast()
	return true
}

func (l *simListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && len(l.pending) == 0 {
		l.moved.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	nc := l.pending[0]
	l.pending = l.pending[1:]
	return nc, nil
}

func (l *simListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, nc := range l.pending {
		_ = nc.Close()
	}
	l.pending = nil
	l.moved.Broadcast()
	return nil
}

func (l *simListener) Addr() net.Addr { return Addr(network) }

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
	moved sync.Cond // anything below has changed

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
	closed          bool
	readBy, writeBy deadline

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
	l.moved.L = &l.mu
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
			return 0, opError("read", l, net.ErrClosed)
		case l.readBy.passed:
			return 0, opError("read", l, os.ErrDeadlineExceeded)
		case len(l.in) > 0:
			if l.chop > 0 && l.chopped < maxChopped {
				p = p[:min(len(p), l.chop)]
				l.chopped++
			}
			n := copy(p, l.in)
			l.in = l.in[n:]
			return n, nil
		case l.gone != nil:
			return 0, opError("read", l, l.gone)
		}
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
			return n, opError("write", l, net.ErrClosed)
		case l.refuse != nil:
			return n, opError("write", l, l.refuse)
		case l.writeBy.passed:
			return n, opError("write", l, os.ErrDeadlineExceeded)
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
		for before == l.credit && !l.closed && l.refuse == nil && !l.writeBy.passed {
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
		return opError("close", l, net.ErrClosed)
	}
	l.closed = true
	l.readBy.stopLocked()
	l.writeBy.stopLocked()
	l.moved.Broadcast()
	return nil
}

func (l *simLink) LocalAddr() net.Addr  { return Addr(network) }
func (l *simLink) RemoteAddr() net.Addr { return l.addr }

func (l *simLink) SetDeadline(t time.Time) error {
	return errors.Join(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

func (l *simLink) SetReadDeadline(t time.Time) error {
	if l.patient && time.Until(t) > 0 {
		t = time.Time{}
	}
	return l.setDeadline(&l.readBy, t)
}

func (l *simLink) SetWriteDeadline(t time.Time) error {
	return l.setDeadline(&l.writeBy, t)
}

func (l *simLink) setDeadline(d *deadline, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return opError("set", l, net.ErrClosed)
	}
	d.setLocked(&l.moved, t)
	return nil
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

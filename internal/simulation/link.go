package simulation

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

// A link is the server's end of a simulated connection. The client's end has
// no goroutine: what it sends is put into the link, and how it reads is a number,
// the bytes that it still takes.
type link struct {
	// Fixed after construction.
	remote  addr
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

var _ net.Conn = (*link)(nil)

func newLink(remote addr, chop int) *link {
	l := &link{remote: remote, chop: chop, credit: unlimited}
	l.moved.L = &l.mu
	return l
}

// The kinds of connection that the server treats differently: halfLink can end one
// direction, fileLink can go on writing after a deadline, bothLink can do both.
type (
	halfLink struct{ *link }
	fileLink struct{ *link }
	bothLink struct{ halfLink }
)

// CloseWrite ends what the client reads.
func (halfLink) CloseWrite() error { return nil }

// SyscallConn returns [errors.ErrUnsupported]. That there is such a method is
// what the server looks for.
func (fileLink) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// SyscallConn is fileLink's.
func (bothLink) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// conn returns l as a connection of one of those kinds.
func (l *link) conn(half, file bool) net.Conn {
	switch {
	case half && file:
		return bothLink{halfLink{l}}
	case half:
		return halfLink{l}
	case file:
		return fileLink{l}
	}
	return l
}

func (l *link) Read(p []byte) (int, error) {
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

func (l *link) Write(p []byte) (n int, err error) {
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
func (l *link) fillUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.credit != unlimited {
		l.credit += l.refill
	}
	l.moved.Broadcast()
}

// Close ends the server's end.
func (l *link) Close() error {
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

func (l *link) LocalAddr() net.Addr  { return addr(network) }
func (l *link) RemoteAddr() net.Addr { return l.remote }

func (l *link) SetDeadline(t time.Time) error {
	return errors.Join(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

func (l *link) SetReadDeadline(t time.Time) error {
	if l.patient && time.Until(t) > 0 {
		t = time.Time{}
	}
	return l.setDeadline(&l.readBy, t)
}

func (l *link) SetWriteDeadline(t time.Time) error {
	return l.setDeadline(&l.writeBy, t)
}

func (l *link) setDeadline(d *deadline, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return opError("set", l, net.ErrClosed)
	}
	d.setLocked(&l.moved, t)
	return nil
}

// send is the client's writing. It does not wait.
func (l *link) send(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = append(l.in, p...)
	l.moved.Broadcast()
}

// end is the client's end: of its writing, and if refuse is set, of its reading
// too. A reset takes back what the server has not read.
func (l *link) end(gone, refuse error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone, l.refuse = gone, refuse
	if gone != io.EOF {
		l.in = nil
	}
	l.moved.Broadcast()
}

// take sets how the client reads from now on.
func (l *link) take(credit, refill int, every time.Duration) {
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

func (l *link) look() linkState {
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
func (l *link) receive() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.out
	l.out = nil
	return out
}

// opError dresses err, of nc, as the net package does.
func opError(op string, nc net.Conn, err error) error {
	if err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: network, Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
}

package simulation

import (
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// unlimited is the credit of a client that takes whatever comes.
const unlimited = -1

// maxChopped is how many calls are cut short on a link that does so.
const maxChopped = 500

// A linkKind is a kind of connection. The server treats each differently.
type linkKind byte

const (
	streamLink  linkKind = iota // it can do what a net.Conn can do
	polledLink                  // it is like a socket
	layeredLink                 // it is like TLS on top of another connection
	linkKinds
)

func (k linkKind) String() string { return [linkKinds]string{"stream", "polled", "layered"}[k] }

// linkTraits are the properties of a link that a history can choose.
type linkTraits struct {
	kind     linkKind
	half     bool // it has CloseWrite
	chop     int  // the most bytes that one read returns; 0 is no limit
	buffer   int  // bytes that a polled link takes when the client does not
	cut      int  // the most bytes that one write to a polled link takes; 0 is no limit
	spurious bool // a polled link seems ready when it is not
	stubborn bool // closing a layered link waits for a write under way
}

// A link is the server's end of a simulated connection. The client's end has no
// goroutine. What the client sends is put into the link. How it reads is a number:
// the bytes that it still takes.
type link struct {
	// Fixed after construction.
	linkTraits
	remote  addr
	patient bool // a read of it ends only with the server, whatever deadline is set

	// mu guards the fields below and is never held while waiting.
	mu    sync.Mutex
	moved sync.Cond // anything below has changed

	// From the client.
	in      []byte
	sentAt  time.Time // when the last of it came
	fin     bool      // nothing follows in
	gone    error     // what follows in instead of its end
	chopped int       // calls that were cut short
	rekeys  int       // requests for new keys that a layered link has not answered

	// To the client.
	out      []byte        // taken, but not looked at yet
	buffered int           // bytes of it that the client has not taken
	credit   int           // bytes that the client still takes, or unlimited
	refill   int           // how many bytes more a slow client takes
	every    time.Duration // how often it does
	filling  bool          // a refill is under way
	refuse   error         // what a write returns: the client has closed or reset
	once     error         // what a call to a polled link returns once before that
	void     bool          // a polled link takes the next write, and answers with a reset

	// The server's own doing.
	closing         bool
	closed          bool
	closingSince    time.Time
	halfClosed      bool
	lingers         bool // SetLinger(0) was not called
	dropped         int  // bytes that were unsent when it was closed, and so are lost
	unread          int  // bytes that the server could have read by then, but had not
	readBy, writeBy deadline
	misused         string // a call that the server must not make

	// The write lock of a layered link.
	locked bool
	broken error // what all writes return after one was cut
	told   bool  // the last words are written

	// What the model judges timeouts by.
	reading, writing bool      // a call waits
	replying         bool      // a read waits for what it writes
	cutReply         bool      // what it writes has failed
	readSince        time.Time // when the last Read began
	hungry           time.Time // since when what is being written has not moved
	starving         bool      // the last write was not taken whole
	taken            int64     // bytes
	written          int64     // of these, before the write under way, which may be several calls
}

// newLink returns the link of the client with a number.
func newLink(number int, traits linkTraits) *link {
	network := "tcp"
	if traits.kind == streamLink {
		network = memory
	}
	l := &link{linkTraits: traits, remote: addr{network, fmt.Sprintf("%s:%d", memory, number)}, credit: unlimited, lingers: true}
	l.moved.L = &l.mu
	return l
}

// conn returns l as a connection of its kind, with exactly the methods of that
// kind.
func (l *link) conn() net.Conn {
	switch {
	case l.kind == polledLink && l.half:
		return halfPolled{polled{l}}
	case l.kind == polledLink:
		return polled{l}
	case l.kind == layeredLink && l.half:
		return halfLayered{layered{l}}
	case l.kind == layeredLink:
		return layered{l}
	case l.half:
		return halfStream{stream{l}}
	}
	return stream{l}
}

// drainLocked lets the client take from what is buffered. l.mu must be held.
func (l *link) drainLocked() {
	l.buffered -= l.spendLocked(l.buffered)
	if l.buffered > 0 {
		l.fillLaterLocked()
	}
}

// spendLocked lets the client take up to n bytes, and returns how many it has
// taken. l.mu must be held.
func (l *link) spendLocked(n int) int {
	if l.credit != unlimited {
		n = min(n, l.credit)
		l.credit -= n
	}
	return n
}

// fillLaterLocked lets a slow client take more after a while. l.mu must be held.
func (l *link) fillLaterLocked() {
	if l.credit == 0 && l.refill > 0 && !l.filling && !l.closed {
		l.filling = true
		time.AfterFunc(l.every, l.fillUp)
	}
}

// fillUp lets a slow client take more.
func (l *link) fillUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filling = false
	if l.credit != unlimited {
		l.credit += l.refill
	}
	l.drainLocked()
	l.moved.Broadcast()
}

// closeLocked ends the server's end. l.mu must be held.
func (l *link) closeLocked() error {
	l.beginCloseLocked()
	if l.closed {
		return l.opError("close", net.ErrClosed)
	}
	l.closed = true
	if l.sentAt.Before(time.Now()) {
		l.unread = len(l.in)
	}
	if !l.lingers {
		l.dropped = l.buffered
	}
	l.readBy.stopLocked()
	l.writeBy.stopLocked()
	l.moved.Broadcast()
	return nil
}

// beginCloseLocked notes that Close was called. l.mu must be held.
func (l *link) beginCloseLocked() {
	if !l.closing {
		l.closing, l.closingSince = true, time.Now()
	}
}

func (l *link) LocalAddr() net.Addr  { return addr{l.remote.network, memory} }
func (l *link) RemoteAddr() net.Addr { return l.remote }

func (l *link) SetDeadline(t time.Time) error {
	if err := l.SetReadDeadline(t); err != nil {
		return err
	}
	return l.SetWriteDeadline(t)
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
		return l.opError("set", net.ErrClosed)
	}
	d.setLocked(&l.moved, t)
	return nil
}

// send puts what the client sends into the link. It does not wait.
func (l *link) send(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.in, l.sentAt = append(l.in, p...), time.Now()
	}
	l.moved.Broadcast()
}

// rekey makes the next read of a layered link write an answer.
func (l *link) rekey() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rekeys++
	l.moved.Broadcast()
}

// finish ends what the client sends.
func (l *link) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fin = true
	l.moved.Broadcast()
}

// hangUp closes the client's end. If a socket has bytes that the client did not
// take, that is a reset, and hangUp returns true.
func (l *link) hangUp() (reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buffered > 0 {
		l.resetLocked()
		return true
	}
	l.fin, l.refuse, l.void = true, syscall.EPIPE, l.kind == polledLink
	l.moved.Broadcast()
	return false
}

// reset cuts the client off. A socket reports the reset once, to the first call
// that comes, after what the socket has received. Other links have nothing more to
// read.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resetLocked()
}

func (l *link) resetLocked() {
	if l.kind == polledLink {
		l.once, l.refuse, l.fin = syscall.ECONNRESET, syscall.EPIPE, true
		l.buffered = 0
	} else {
		l.gone, l.refuse, l.in = syscall.ECONNRESET, syscall.ECONNRESET, nil
	}
	l.moved.Broadcast()
}

// take sets how the client reads from now on.
func (l *link) take(credit, refill int, every time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.credit, l.refill, l.every = credit, refill, every
	l.drainLocked()
	l.moved.Broadcast()
}

// receive takes out what the client has received or will receive, and appends it to
// b. What is buffered counts as received, because only the server's end or a reset
// loses it.
func (l *link) receive(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b = append(b, l.out...)
	l.out = l.out[:0]
	return b
}

// misuseLocked notes a call that the server must not make. l.mu must be held.
func (l *link) misuseLocked(what string) {
	if l.misused == "" {
		l.misused = what
	}
}

// opError wraps err as the net package does.
func (l *link) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: l.remote.network, Source: l.LocalAddr(), Addr: l.remote, Err: err}
}

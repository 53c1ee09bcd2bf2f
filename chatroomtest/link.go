package chatroomtest

import (
	"cmp"
	"net"
	"syscall"
	"time"
)

// defaultLinkSize is how many bytes a link holds in each direction by default.
const defaultLinkSize = 64 << 10

// A Link is one end of a connection in memory that holds bytes, as one over TCP
// does, and of which the line can be made bad: stalled, slow, far, sliced or cut.
//
// What is set on an end is about what that end writes, or about its own reads; for
// the other direction set it on [Link.Peer]. It may be set at any time, and holds for
// what is written from then on.
//
// All methods are safe for concurrent use, and concurrent writes come out one after
// the other. Waiting is durably blocking in a [testing/synctest] bubble, in which all
// of it is exact: a link waits for nothing but its peer and timers. A write that
// meets its deadline returns how much went out, and the next continues there.
//
// Errors match [net.ErrClosed] after an end's own Close, [os.ErrDeadlineExceeded] at
// a deadline and, after the other end's Close, [syscall.EPIPE] for writes and, behind
// all that was written, [io.EOF] for reads. What is unread at an end that closes is
// dropped, of which the other end is not told.
type Link struct {
	in, out       *flow
	local, remote net.Addr
	peer          *Link
}

var _ net.Conn = (*Link)(nil)

// NewLink returns the two ends of a connection that holds up to size bytes in each
// direction, those under way included: a write waits for what does not fit. Zero is
// the default of 64 KiB, negative is no limit. The ends belong to the caller, who
// closes both; their addresses are the [Addr] "pipe:a" and "pipe:b".
func NewLink(size int) (a, b *Link) {
	return newLink(size, Addr(network+":a"), Addr(network+":b"))
}

func newLink(size int, nearAddr, farAddr net.Addr) (near, far *Link) {
	there, back := newFlow(size), newFlow(size)
	near = &Link{in: back, out: there, local: nearAddr, remote: farAddr}
	far = &Link{in: there, out: back, local: farAddr, remote: nearAddr, peer: near}
	near.peer = far
	return near, far
}

// Peer returns the other end.
func (l *Link) Peer() *Link { return l.peer }

// SetLatency sets how long each byte that this end writes takes to arrive, and so
// does the end of the stream. The writer does not wait for it. Zero and negative are
// no latency.
func (l *Link) SetLatency(d time.Duration) {
	l.out.set(func() { l.out.latency = max(d, 0) })
}

// SetRate sets how many bytes that this end writes arrive each second, a hundredth
// of a second's worth at a time. The writer waits only for the link to have room.
// Zero and negative are no limit.
func (l *Link) SetRate(bytesPerSecond int) {
	l.out.set(func() { l.out.rate = max(bytesPerSecond, 0) })
}

// SetSlice cuts what this end writes into slices: a read of the peer's returns at
// most n bytes, so that with 1 every header is cut at every byte. Zero and negative
// are no limit.
func (l *Link) SetSlice(n int) {
	l.out.set(func() { l.out.slice = max(n, 0) })
}

// CutAfter cuts the connection once this end has written n more bytes, in any frame
// and at any byte: the peer reads exactly these, then [io.EOF]. A write that goes
// beyond returns how much went out; from then on this end's reads and writes match
// [syscall.ECONNRESET]. With zero the connection is cut at once. Negative is never.
func (l *Link) CutAfter(n int64) {
	l.out.set(func() { l.out.left = max(n, -1) })
	if n == 0 {
		l.cut()
	}
}

func (l *Link) cut() {
	l.out.endWriter(syscall.ECONNRESET)
	l.in.endReader(syscall.ECONNRESET, syscall.EPIPE)
}

// StallReads stops this end's reads, as a peer that hangs does. When it returns, no
// read takes anything until [Link.ResumeReads]; the end of the connection is not
// noticed either. Reads that wait still end with their deadlines, with Close and with
// [Reset].
func (l *Link) StallReads() { l.in.set(func() { l.in.readsStalled = true }) }

// ResumeReads lets reads go on.
func (l *Link) ResumeReads() { l.in.set(func() { l.in.readsStalled = false }) }

// StallWrites stops this end's writes. When it returns, no write passes anything on
// until [Link.ResumeWrites]; one that was under way waits with the rest. Writes that
// wait still end with their deadlines, with Close and with [Reset].
func (l *Link) StallWrites() { l.out.set(func() { l.out.writesStalled = true }) }

// ResumeWrites lets writes go on.
func (l *Link) ResumeWrites() { l.out.set(func() { l.out.writesStalled = false }) }

// Read returns what has arrived, and waits for at least a byte of it.
func (l *Link) Read(p []byte) (int, error) {
	n, err := l.in.read(p)
	return n, opError("read", l, err)
}

// Write waits until the link holds all of p.
func (l *Link) Write(p []byte) (int, error) {
	n, cut, err := l.out.write(p)
	if cut {
		l.cut()
		if n < len(p) {
			err = syscall.ECONNRESET
		}
	}
	return n, opError("write", l, err)
}

// CloseWrite ends the direction that this end writes: the peer reads what was
// written, then [io.EOF]. Later writes match [syscall.EPIPE].
func (l *Link) CloseWrite() error { return opError("close", l, l.out.endWrites()) }

// Close ends both directions. What was written still arrives.
func (l *Link) Close() error {
	if !l.out.endWriter(net.ErrClosed) {
		return opError("close", l, net.ErrClosed)
	}
	l.in.endReader(net.ErrClosed, syscall.EPIPE)
	return nil
}

// reset ends the connection so that the other end finds it reset, at once.
func (l *Link) reset() error {
	if !l.out.endWriter(net.ErrClosed) {
		return opError("close", l, net.ErrClosed)
	}
	l.out.breakReads(syscall.ECONNRESET)
	l.in.endReader(net.ErrClosed, syscall.ECONNRESET)
	return nil
}

// LocalAddr returns this end's address.
func (l *Link) LocalAddr() net.Addr { return l.local }

// RemoteAddr returns the other end's address.
func (l *Link) RemoteAddr() net.Addr { return l.remote }

// SetDeadline sets both deadlines.
func (l *Link) SetDeadline(t time.Time) error {
	return cmp.Or(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of reads, those that wait included.
func (l *Link) SetReadDeadline(t time.Time) error {
	return opError("set", l, l.in.setReadDeadline(t))
}

// SetWriteDeadline sets the deadline of writes, those that wait included.
func (l *Link) SetWriteDeadline(t time.Time) error {
	return opError("set", l, l.out.setWriteDeadline(t))
}

package chatroomtest

import (
	"cmp"
	"net"
	"syscall"
	"time"
)

// defaultLinkSize is how many bytes a link holds in each direction by default.
const defaultLinkSize = 64 << 10

// A Link is one end of a connection in memory. It holds bytes as a TCP connection
// does, and its line can be made bad: stalled, slow, far, sliced or cut.
//
// A setting concerns what this end writes, or its own reads; for the other
// direction use [Link.Peer]. It may be set at any time, and holds for what is
// written from then on.
//
// All methods are safe for concurrent use, and concurrent writes go out one after
// the other. A link waits for its peer and timers only, so in a [testing/synctest]
// bubble it blocks durably and its times are exact. A write that meets its deadline
// returns how much went out, and the next write continues there.
//
// After an end's own Close, errors match [net.ErrClosed]; at a deadline, they match
// [os.ErrDeadlineExceeded]. After the other end's Close, writes match
// [syscall.EPIPE], and reads return what was written and then [io.EOF]. What an end
// has not read when it closes is dropped, and the other end is not told.
type Link struct {
	in, out       *flow
	local, remote net.Addr
	peer          *Link
}

var _ net.Conn = (*Link)(nil)

// NewLink returns the two ends of a connection. It holds up to size bytes in each
// direction, those under way included; a write waits until what is left fits. Zero
// is the default of 64 KiB, negative is no limit. The caller owns and closes both
// ends. Their addresses are the [Addr] "pipe:a" and "pipe:b".
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

// SetLatency sets how long each byte that this end writes takes to arrive, and how
// long the end of the stream takes. Writes do not wait for it. Zero and negative
// are no latency.
func (l *Link) SetLatency(d time.Duration) {
	l.out.set(func() { l.out.latency = max(d, 0) })
}

// SetRate sets how many bytes that this end writes arrive per second. They arrive a
// hundredth of that at a time. A write waits only for room in the link. Zero and
// negative are no limit.
func (l *Link) SetRate(bytesPerSecond int) {
	l.out.set(func() { l.out.rate = max(bytesPerSecond, 0) })
}

// SetSlice makes each of the peer's reads return at most n bytes, so that 1 cuts
// every header at every byte. Zero and negative are no limit.
func (l *Link) SetSlice(n int) {
	l.out.set(func() { l.out.slice = max(n, 0) })
}

// CutAfter cuts the connection when this end has written n more bytes, even inside
// a frame. The peer reads exactly these, then [io.EOF]. A write that goes beyond
// returns how much went out. From then on, this end's reads and writes match
// [syscall.ECONNRESET]. Zero cuts immediately, negative never.
func (l *Link) CutAfter(n int64) {
	l.out.set(func() { l.out.left = max(n, -1) })
	if n == 0 {
		l.cut()
	}
}

func (l *Link) cut() {
	l.out.endWriter(syscall.ECONNRESET, nil)
	l.in.endReader(syscall.ECONNRESET, syscall.EPIPE)
}

// StallReads stops this end's reads, as a peer that hangs does. After it has
// returned, no read takes anything or notices the connection's end until
// [Link.ResumeReads]. Deadlines, Close and [Reset] still end reads that wait.
func (l *Link) StallReads() { l.in.set(func() { l.in.readsStalled = true }) }

// ResumeReads lets reads go on.
func (l *Link) ResumeReads() { l.in.set(func() { l.in.readsStalled = false }) }

// StallWrites stops this end's writes. After it has returned, no write passes
// anything on until [Link.ResumeWrites], not even one under way. Deadlines, Close
// and [Reset] still end writes that wait.
func (l *Link) StallWrites() { l.out.set(func() { l.out.writesStalled = true }) }

// ResumeWrites lets writes go on.
func (l *Link) ResumeWrites() { l.out.set(func() { l.out.writesStalled = false }) }

// Read waits until at least one byte has arrived, and returns what has arrived.
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
	if !l.out.endWriter(net.ErrClosed, nil) {
		return opError("close", l, net.ErrClosed)
	}
	l.in.endReader(net.ErrClosed, syscall.EPIPE)
	return nil
}

// reset ends the connection. The other end finds it reset without delay.
func (l *Link) reset() error {
	if !l.out.endWriter(net.ErrClosed, syscall.ECONNRESET) {
		return opError("close", l, net.ErrClosed)
	}
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
	return opError("set", l, l.in.setDeadline(&l.in.readBy, &l.in.readErr, t))
}

// SetWriteDeadline sets the deadline of writes, those that wait included.
func (l *Link) SetWriteDeadline(t time.Time) error {
	return opError("set", l, l.out.setDeadline(&l.out.writeBy, &l.out.sendErr, t))
}

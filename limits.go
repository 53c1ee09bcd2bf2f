package chatroom

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ErrServerFull is why the server closes a connection when it already has as many as
// [WithMaxConns] or [WithMaxConnsPerIP] allow.
var ErrServerFull = errors.New("chatroom: server full")

const (
	// maxNameFrame is the longest payload of a connection's first frame, in bytes. It
	// is short because anybody may send that frame.
	maxNameFrame = 4 << 10

	// spareFiles is how many files the default limit of connections leaves for other
	// uses.
	spareFiles = 64

	// maxFrameBytes is how many bytes of memory a server's unfinished frames may take
	// together, beyond the buffer that each reader has anyway, and beyond what the
	// longest message may take.
	maxFrameBytes = 256 << 20

	// logEvery is the shortest time between two log lines about refused connections.
	logEvery = time.Second
)

// defaultMaxConns returns what [WithMaxConns] is by default.
func defaultMaxConns() int { return min(DefaultMaxConns, max(maxFiles()-spareFiles, 1)) }

// A conns counts the open connections from listeners, in all and for each address.
// Server.mu guards it.
type conns struct {
	all       int
	strangers int // those that have not been let in yet
	byIP      map[netip.Prefix]int
}

// hasRoom reports whether one more may come. At most half of all may be strangers.
func (c *conns) hasRoom(most int) bool {
	return most <= 0 || c.all < most && c.strangers < max(most/2, 1)
}

// addIP counts a connection from addr. If there are as many as there may be, it returns
// false instead.
func (c *conns) addIP(addr netip.Prefix, most int) bool {
	if c.byIP[addr] >= most {
		return false
	}
	if c.byIP == nil {
		c.byIP = make(map[netip.Prefix]int)
	}
	c.byIP[addr]++
	return true
}

func (c *conns) removeIP(addr netip.Prefix) {
	if c.byIP[addr]--; c.byIP[addr] <= 0 {
		delete(c.byIP, addr)
	}
}

// ipOf returns the network by which addr is counted: one IPv4 address, or 64 bits of an
// IPv6 address, which is what one customer gets. It is not valid if addr has no IP
// address.
func ipOf(addr net.Addr) netip.Prefix {
	if addr == nil {
		return netip.Prefix{}
	}
	port, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := port.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // fails only if ip has fewer bits
	return prefix
}

// A budget is an amount that several shares are taken from, first come, first served. So
// that they never all wait for each other, one at a time may take more than is left.
type budget struct {
	mu    sync.Mutex
	left  int64    // below zero while somebody has taken more
	over  *share   // who has taken more than was left, and may go on; nil if nobody has
	queue []*claim // in the order in which they came
}

// A share is what one goroutine has taken from a budget.
type share struct {
	of *budget
	n  int64 // guarded by of.mu
}

// A claim is what a share waits for.
type claim struct {
	by    *share
	n     int64
	given chan struct{} // closed when n has been taken
}

// tryGrow takes n more if that much is left and nobody waits.
func (s *share) tryGrow(n int64) bool {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over != s && (len(b.queue) > 0 || b.left < n) {
		return false
	}
	b.left -= n
	s.n += n
	return true
}

// grow waits until n is left, and takes it. When ctx ends first, it takes nothing and
// returns ctx.Err().
func (s *share) grow(ctx context.Context, n int64) error {
	b := s.of
	c := &claim{s, n, make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, c)
	b.serveLocked()
	b.mu.Unlock()
	select {
	case <-c.given:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, c)
	if i < 0 {
		return nil // it was given just now
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	b.serveLocked() // the next may need less
	return ctx.Err()
}

// shrink gives back all but n.
func (s *share) shrink(n int64) {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += s.n - n
	s.n = n
	if b.left >= 0 || n == 0 && b.over == s {
		b.over = nil
	}
	b.serveLocked()
}

// serveLocked gives those who wait what there is. b.mu must be held.
func (b *budget) serveLocked() {
	for len(b.queue) > 0 {
		c := b.queue[0]
		switch {
		case b.left >= c.n:
		case b.over == nil:
			b.over = c.by
		default:
			return
		}
		b.left -= c.n
		c.by.n += c.n
		close(c.given)
		b.queue = b.queue[1:]
	}
}

// An occasion limits how often something is done, and counts what is skipped meanwhile.
type occasion struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// now reports whether it is time to do it again. If so, it returns how many were
// skipped since the last time.
func (o *occasion) now(every time.Duration) (skipped int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := time.Now(); o.last.IsZero() || t.Sub(o.last) >= every {
		skipped, o.skipped, o.last = o.skipped, 0, t
		return skipped, true
	}
	o.skipped++
	return 0, false
}

package chatroom

import (
	"sync"
	"time"
)

// A readGuard tells of reads that have not ended when they should have. A layer
// may write while it reads, as TLS does to answer a request for new keys, and a
// peer that takes nothing then keeps the read for ever, whatever its deadline.
type readGuard struct {
	overdue func() // called on a goroutine of the timer's

	mu      sync.Mutex
	reading bool
	due     time.Time // when the read must have ended; zero for never
	timer   *time.Timer
}

// begin says that a read begins.
func (g *readGuard) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading = true
}

// limit says that the read under way, if there is one, must have ended in d.
func (g *readGuard) limit(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.reading {
		return
	}
	g.due = time.Now().Add(d)
	if g.timer == nil {
		g.timer = time.AfterFunc(d, g.check)
	} else {
		g.timer.Reset(d)
	}
}

// end says that the read has ended.
func (g *readGuard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading, g.due = false, time.Time{}
	if g.timer != nil {
		g.timer.Stop()
	}
}

// underWay reports whether a read has begun and not ended.
func (g *readGuard) underWay() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reading
}

func (g *readGuard) check() {
	g.mu.Lock()
	overdue := !g.due.IsZero() && !time.Now().Before(g.due) // else it came too late, and this is another read
	g.mu.Unlock()
	if overdue {
		g.overdue()
	}
}

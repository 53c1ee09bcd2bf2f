package chatroom

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxSkips is how many skips of a member's are kept room for.
	maxSkips = 16

	// gatherBelow is the run, in bytes, that is worth a write of its own
	// although more follows behind a gap.
	gatherBelow = 8 << 10
)

// An outlet is a member's connection, as the room sees it.
type outlet interface {
	// writeOwed writes what the member is owed until next returns nothing and
	// tryIdle agrees. It runs on a goroutine of its own.
	writeOwed()

	// tryWrite writes as much of p as can be written without waiting. It is
	// called for swept members only.
	tryWrite(p []byte) (int, error)

	// evict ends the connection, and reports whether it was the first to. It does
	// not block, and may be called with the room's lock held.
	evict(reason error) bool

	// gone returns a channel that is closed when this end has ended the connection,
	// and isGone reports whether it has. They may be called with the lock held.
	gone() <-chan struct{}
	isGone() bool
}

// A member is one connection's place in a room. All fields but those headed
// otherwise are guarded by room.mu.
type member struct {
	// Fixed before the join.
	Member        // ID and JoinedAt are set by the join
	prefix []byte // the name as a frame
	out    outlet // its connection
	sweeps bool   // out can write without waiting

	// writer counts the goroutine that runs writeOwed: none or one. Add is called
	// under room.mu and only while the room lists the member.
	writer sync.WaitGroup

	// write is out.writeOwed once it has been needed. Owned by who starts the
	// writer.
	write func()

	// waited is set by a publish of the member's that was held. Owned by who
	// publishes for it.
	waited bool

	// Owned by the writer while there is one, and otherwise by the sweep.
	cur     cursor
	pending []byte // gathered and not yet written
	scratch *[largeBuffer]byte

	// pos is the position up to which all is written, for others to read unless
	// the member is idle.
	pos atomic.Int64

	// gaps tells who writes that there are skips. It is set before the bytes to
	// be skipped are published.
	gaps atomic.Bool

	elem   *list.Element // nil before the join and after the leave
	at     int           // index in room.swept if it sweeps, in room.idle if not; -1 while there is a writer, and when deaf
	deaf   bool          // its writer has failed: it receives nothing more, and counts as caught up
	skips  []span        // the member's own messages; those from passed on are ahead of the cursor
	passed int

	waiters []*waiter // who waits for it to be written to

	// The member's part in room.pace.
	far, late, owed, stuck bool
	lag                    *lag // set while far
}

// A lag is what the room's pace remembers of a member that is far behind.
type lag struct {
	since   time.Time
	pos     int64     // member.pos then
	until   time.Time // until when the member is waited for; zero before it was late
	seenPos int64     // member.pos when the tie began
}

// A span is the part of the log from one position up to another.
type span struct{ from, to int64 }

// writeFunc returns out.writeOwed, bound once, so that starting it needs no
// memory. It is called by who has made m's writer due.
func (m *member) writeFunc() func() {
	if m.write == nil {
		m.write = m.out.writeOwed
	}
	return m.write
}

// skipLocked leaves s, at the end of the log, out of what m receives. room.mu
// must be held.
func (m *member) skipLocked(s span) {
	if n := len(m.skips); n > m.passed && m.skips[n-1].to == s.from {
		m.skips[n-1].to = s.to
		return
	}
	if m.passed > maxSkips && m.passed >= len(m.skips)/2 {
		m.skips = append(m.skips[:0], m.skips[m.passed:]...)
		m.passed = 0
	}
	m.skips = append(m.skips, s)
	m.gaps.Store(true)
}

// next returns what to write next for m: the longest run of whole messages there
// is, up to a chunk. It is empty when there is nothing. Each run is accounted for
// with wrote before next is called again.
func (r *room) next(m *member) []byte {
	if len(m.pending) > 0 {
		return m.pending
	}
	for {
		run, more := r.run(m)
		if len(run) >= gatherBelow || !more {
			return run
		}
		if gathered := r.gather(m); len(gathered) > 0 {
			return gathered
		}
	}
}

// run returns the bytes from m's cursor to the end of the chunk or to the next
// message of m's own, and whether more may follow behind that.
func (r *room) run(m *member) (run []byte, more bool) {
	// What is published together with a message of m's own shows in gaps.
	run, more = m.cur.peek()
	if m.gaps.Load() {
		return r.runToGap(m)
	}
	return run, more
}

func (r *room) runToGap(m *member) (run []byte, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m.passed < len(m.skips) && m.skips[m.passed].from == m.cur.pos() {
		m.cur.advance(m.skips[m.passed].to - m.skips[m.passed].from)
		m.passed++ // they are moved rarely: a stalled member may have very many
	}
	run, more = m.cur.peek()
	if m.passed == len(m.skips) {
		m.dropSkips()
		return run, more
	}
	if gap := m.skips[m.passed].from - m.cur.pos(); gap < int64(len(run)) {
		run = run[:gap]
	}
	return run, true
}

// dropSkips forgets m's skips. It keeps what room there is for a few. room.mu must
// be held.
func (m *member) dropSkips() {
	if m.skips, m.passed = m.skips[:0], 0; cap(m.skips) > maxSkips {
		m.skips = nil
	}
	m.gaps.Store(false)
}

// gather copies several runs into one, so that gaps cost no system calls. What
// does not fit whole is left for the next.
func (r *room) gather(m *member) []byte {
	if m.scratch == nil {
		m.scratch = largeBuffers.Get().(*[largeBuffer]byte)
	}
	m.pending = m.scratch[:0]
	for more := true; more; {
		var run []byte
		run, more = r.run(m)
		if len(run) > len(m.scratch)-len(m.pending) {
			break
		}
		m.pending = append(m.pending, run...)
		m.cur.advance(int64(len(run)))
	}
	return m.pending
}

// wrote accounts for n bytes of what next returned.
func (r *room) wrote(m *member, n int) {
	if len(m.pending) > 0 {
		if m.pending = m.pending[n:]; len(m.pending) > 0 {
			return
		}
	} else {
		m.cur.advance(int64(n))
	}
	pos := m.cur.pos()
	m.pos.Store(pos)
	if r.watched.Load() {
		r.mu.Lock()
		r.progressLocked(m, pos)
		r.mu.Unlock()
	}
}

// tryIdle ends m's writer if there is nothing to write, and says whether it must
// end.
func (r *room) tryIdle(m *member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.elem != nil {
		if len(m.skips) > m.passed || m.cur.pos() != r.log.end {
			return false
		}
		r.restLocked(m)
		r.progressLocked(m, r.log.end)
	}
	m.retire()
	return true
}

// deafen ends m's writer, which has failed. m may still publish until it leaves.
func (r *room) deafen(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.deaf = true
	m.dropSkips()
	m.retire()
	r.unmarkLocked(m)
	r.progressLocked(m, r.log.end)
}

// retire drops what m's writer, or the sweep, held for it and needs no more.
func (m *member) retire() {
	m.pending = nil
	if m.at < 0 {
		m.cur = cursor{}
	}
	m.dropScratch()
}

func (m *member) dropScratch() {
	if m.scratch != nil {
		largeBuffers.Put(m.scratch)
		m.scratch = nil
	}
}

// idle reports whether m waits at the end of the log.
func (m *member) idle() bool { return m.at >= 0 && !m.sweeps }

// restLocked puts m, which is at the end of the log, among those without a
// writer. room.mu must be held.
func (r *room) restLocked(m *member) {
	resting := r.restingLocked(m)
	m.at = len(*resting)
	*resting = append(*resting, m)
	if m.sweeps {
		m.pos.Store(r.log.end)
	} else {
		m.cur = cursor{}
	}
}

// unrestLocked takes m from among those without a writer. room.mu must be held.
func (r *room) unrestLocked(m *member) {
	resting := r.restingLocked(m)
	last := len(*resting) - 1
	(*resting)[m.at] = (*resting)[last]
	(*resting)[m.at].at = m.at
	(*resting)[last] = nil
	*resting = (*resting)[:last]
	m.at = -1
}

func (r *room) restingLocked(m *member) *[]*member {
	if m.sweeps {
		return &r.swept
	}
	return &r.idle
}

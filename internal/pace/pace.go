// Package pace decides how fast a room may go: when publishing has to wait for
// slow members, and which of them are too slow to be waited for.
//
// The room goes at the pace of its slowest member that is not far slower than its
// middle one. Each member has an account. While a member is late, each byte that the
// middle member takes, or would take if it did not have to wait for others, adds a
// byte to its debt. Each byte that the late member takes removes four. So a member
// that keeps a quarter of the middle's pace stays out of debt, however it reads and
// however long the flood lasts.
//
// Waiting for a member in debt is paid from the room's purse. A member that gets out
// of debt gives back what was paid for it. The purse bounds for how long members stop
// the room at a time, and for which part of all the time.
//
// Three things cannot be told from outside:
//
//   - How fast the others have become, or how much more would be published, while the
//     room waits for a slow member. What was measured last stands.
//   - How fast anybody is, where a backlog is taken at once because buffers or
//     messages are as large. The room may then go at the pace of a member that is far
//     slower than its middle.
//   - Whether a member that pauses will go on, while members that take nothing keep
//     the purse empty. It may be evicted with them if it pauses for longer than the
//     middle needs for half a backlog.
package pace

import (
	"iter"
	"time"
)

const (
	// slower is how many times slower than the middle is far slower.
	slower = 4

	// still is how long a late member must have taken nothing to count as still.
	// TCP probes a small window every 204 ms, so less says nothing about a reader.
	still = 250 * time.Millisecond

	// purseMax is the longest that a room waits for members that take nothing.
	// Newcomers have a purse of their own, so that members that come back again and
	// again do not spend what is for others. Either purse fills by a second in purseFill
	// seconds at most.
	purseMax     = 3500 * time.Millisecond
	newcomersMax = 1500 * time.Millisecond
	purseFill    = 40

	// A member is a newcomer until it has taken a backlog, or for newcomerAge.
	newcomerAge = 2 * time.Minute

	// newcomerWait is the longest that a newcomer in debt is waited for, so that one
	// alone does not get the whole purse.
	newcomerWait = 2 * still

	// patience is how long a member in debt is waited for with an empty purse, so
	// that nobody is evicted because a scheduler was late. It is also how often a
	// held room is looked at.
	patience = 5 * time.Millisecond

	// forget is how long a room has no late member, or no look, before speeds and
	// debts are forgotten.
	forget = 10 * time.Second
)

// A Law is the pace of one room. It is not safe for concurrent use.
type Law struct {
	// Fixed after construction.
	backlog int64
	collect func(*Member) bool // adds to members; made once, since a closure needs memory

	// Owned by Look, and empty outside it.
	members []*Member

	// As the last look left them.
	now          time.Time
	end          int64
	held         bool
	serverBehind bool          // the server had not got round to a member
	holders      int           // how many members hold the room
	calm         time.Duration // since a look that found somebody late
	purse        time.Duration
	newcomers    time.Duration // the newcomers' purse
	middle       middle
}

// A Member is one member's part in a room's pace. The zero value is one that has
// just joined.
type Member struct {
	// Set by the caller before each Look.
	Pos     int64 // position in the log up to which it has been written to
	Blocked bool  // its connection is being waited for; if not, it is at the end, or the server has not got round to it

	// Set by Look.
	Evict bool // it is far slower and a whole backlog behind: it must be disconnected

	// As the last look left them.
	seen       bool
	pos        int64
	took       float64       // bytes since the look before
	late       bool          // it is blocked, and more than an eighth of a backlog behind
	stayedLate bool          // it is late, and was at the look before
	holds      bool          // the room is held for it
	age        time.Duration // since the first look that saw it
	observed   time.Duration // its age, of which each look counts for still at most
	total      float64       // bytes that it has taken since that look
	stillFor   time.Duration // while it stayed late, since it took anything
	debt       float64       // bytes
	graceUsed  time.Duration // while it was late, since it was neither in debt nor still
	paid       time.Duration // by the purse, in that time
	speed      speed
}

// A Verdict is what Look says of the room.
type Verdict struct {
	Hold  bool          // publishing waits
	Evict int           // how many members are to be evicted
	Again time.Duration // look again after this long at the latest; zero is when the log grows
}

// New returns the pace of an empty room whose members may be backlog bytes behind.
func New(backlog int64) *Law {
	l := &Law{backlog: backlog, purse: purseMax, newcomers: newcomersMax, middle: middle{backlog: float64(backlog)}}
	l.collect = func(m *Member) bool {
		l.members = append(l.members, m)
		return true
	}
	return l
}

// Look judges the room at a moment. The end is the position after the last byte of the
// log. Look ranges over members once. It must be called when the log has grown by a
// chunk (64 KiB, or 1/32 of the backlog if that is less), when Again has passed, when
// a member leaves while the room is held, and when Moved asks for it. It takes time in
// proportion to the number of members, and no memory once it has seen as many.
func (l *Law) Look(now time.Time, end int64, members iter.Seq[*Member]) Verdict {
	var since time.Duration
	if !l.now.IsZero() {
		since = max(now.Sub(l.now), 0)
	}
	step := min(since, still) // a late look says little about members
	members(l.collect)
	if l.calm += since; l.calm >= forget {
		for _, m := range l.members {
			m.debt, m.speed = 0, speed{}
		}
		l.middle.flow = 0
	}
	l.middle.flows(float64(end-l.end), since, l.held)

	serverBehind := false
	for _, m := range l.members {
		serverBehind = serverBehind || !m.Blocked && end-m.Pos > l.backlog/4
		l.meet(m, end, since, step)
	}
	debit := l.middle.takes(float64(end-l.end), step, l.held, l.members)
	if serverBehind || l.serverBehind {
		debit = 0 // nobody can take what the server has not written
	}
	v, paying := Verdict{}, false
	l.holders = 0
	for _, m := range l.members {
		paying = l.judge(m, end, step, debit, paying)
		if m.Evict {
			v.Evict++
		}
		if m.holds {
			l.holders++
		}
	}
	if !paying {
		l.purse = min(l.purse+since/purseFill, purseMax)
		l.newcomers = min(l.newcomers+since/purseFill, newcomersMax)
	}
	l.now, l.end, l.serverBehind, l.held = now, end, serverBehind, l.holders > 0
	if v.Hold = l.held; v.Hold {
		v.Again = patience + time.Duration(len(l.members))*time.Microsecond
	}
	clear(l.members)
	l.members = l.members[:0]
	return v
}

// meet notes how far m has come, and how fast.
func (l *Law) meet(m *Member, end int64, since, step time.Duration) {
	if !m.seen {
		m.seen, m.pos, since, step = true, m.Pos, 0, 0
	}
	if m.Pos >= l.end { // it has caught up since the last look
		m.graceUsed = 0
		if since >= still { // in a room that is quiet
			m.late, m.debt = false, 0
		}
	}
	m.took, m.pos = float64(m.Pos-m.pos), m.Pos
	m.total += m.took
	m.observed += step
	m.age += since
	late := m.Blocked && end-m.Pos > l.backlog/8
	m.speed.fast = m.speed.fast || !late && min(m.total, l.middle.run) >= l.middle.backlog/2
	if m.late {
		m.speed.add(m.took, since, l.middle.backlog/2)
	}
	m.stayedLate, m.late = late && m.late, late
	m.stillFor += step
	if m.took > 0 || !m.stayedLate {
		m.stillFor = 0
	}
	if late {
		l.calm = 0
	}
}

// judge settles m's account, and decides whether it holds the room or is evicted.
// The argument paying says whether a purse has paid for this step already; the result
// says whether one has now.
func (l *Law) judge(m *Member, end int64, step time.Duration, debit float64, paying bool) bool {
	if m.stayedLate {
		m.debt += debit
	}
	m.debt = max(0, m.debt-slower*m.took)
	newcomer := m.total < l.middle.backlog && m.age < newcomerAge
	purse, most, credit := &l.purse, purseMax, l.middle.backlog/2
	if newcomer {
		purse, most, credit = &l.newcomers, newcomersMax, credit/4
	}
	indebted := m.debt > credit
	if !indebted && m.stillFor < still {
		*purse = min(*purse+m.paid, most)
		m.graceUsed, m.paid = 0, 0
	} else if m.late {
		m.graceUsed += step
		if l.held && m.holds && !paying {
			paying = true
			*purse -= step
			m.paid += step
		}
	}
	grace := max(*purse/2, patience)
	if indebted && newcomer {
		grace = min(grace, newcomerWait)
	}
	far := m.Blocked && m.graceUsed > grace
	m.holds = !far && end-m.Pos > l.backlog/4*3
	m.Evict = far && l.end-m.Pos > l.backlog // what was appended since the last look does not count
	return paying
}

// Moved is told, after every write while the room is held, that m has been written to
// up to pos. It reports whether that may release the room, so that a Look is due.
func (l *Law) Moved(m *Member, pos int64) bool {
	if !m.holds || l.end-pos > l.backlog/4*3 {
		return false
	}
	m.holds = false
	l.holders--
	return l.holders == 0
}

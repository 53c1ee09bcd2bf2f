package chatroom

import (
	"fmt"
	"math"
	"time"
)

const (
	// recentBytes is more than the sockets of a connection mostly buffer.
	recentBytes = recentSteps << recentShift
	recentSteps = 8
	recentShift = 20

	// minGrace and maxGrace bound how long a late member is waited for.
	minGrace = 50 * time.Millisecond
	maxGrace = 2 * time.Second

	// tieGrace is how long a room half of which is far behind is held while that
	// half takes nothing at all. Sockets take bytes in bursts of megabytes, so a
	// slow reader may seem to take nothing for long.
	tieGrace = 30 * time.Second
)

// pace keeps a room at the speed of its middle member. All of it is guarded by
// room.mu.
//
// While more than half of the members are far behind, more than half of the
// backlog, the others' publishing is held; it goes on when enough of them are
// within a quarter. So a member a whole backlog behind is far slower than the
// middle, and only such a member is evicted.
//
// Being a whole backlog behind is not yet being slow: sockets take bytes in
// bursts, of megabytes over TCP, and schedulers are not fair. One that is late
// like that is waited for, once until it has caught up, for as long as the room
// took for its last recentBytes, within bounds. Time in which it has taken
// nothing since it was far behind is counted in, so one that does not read at
// all costs a room with a large backlog nothing.
//
// A member that the sweep serves has taken all that it was given: when it is a
// whole backlog behind, it is the server that is slow. The room is held until the
// sweep has caught up with such a member, or found that it is slow itself.
//
// Exactly half of the members is all who listen in a room of two. The room is
// held for them as well, but only as long as they take something now and then:
// one that takes nothing for tieGrace is stuck and no longer counts.
type pace struct {
	held  bool
	gate  chan struct{} // closed by the release; replaced by each hold
	far   int           // members more than half a backlog behind
	late  int           // those of them that are waited for
	owed  int           // those of them that the sweep has kept waiting
	stuck int           // those of them that took nothing during a tie
	grace *time.Timer   // runs while somebody is waited for
	tie   *time.Timer   // runs while a tie is what holds the room

	// recent[i] is when the log was first seen to have reached the last position
	// that is i steps of a recentSteps'th of recentBytes, modulo recentSteps. The
	// last step that was seen is step.
	recent  [recentSteps]time.Time
	step    int64
	heldAt  time.Time // when the hold began
	forLate bool      // it began for the late alone
}

// checkPaceLocked is called when the log has grown by a chunk, from position
// from, because a member published or, patient being false, the program did. It
// evicts the slow consumers and decides whether the room is held. r.mu must be
// held.
func (r *room) checkPaceLocked(from int64, patient bool) {
	r.watched.Store(true) // before positions are read, so that no progress is missed
	now := time.Now()
	grace := r.graceLocked(now)
	r.pace.far, r.pace.late, r.pace.owed, r.pace.stuck = 0, 0, 0, 0
	var slow []*member
	for e := r.members.Front(); e != nil; e = e.Next() {
		m := e.Value.(*member)
		pos := r.posLocked(m)
		behind := r.log.end - pos
		switch far := behind > r.backlog/2; {
		case far && (!m.far || from-pos <= r.backlog/4): // it had caught up, maybe unwatched
			m.far, m.lag = true, &lag{since: now, pos: pos}
		case !far:
			m.far, m.lag = false, nil
		}
		// What this call appended makes nobody a slow consumer, however long.
		over := from-pos > r.backlog
		m.owed = over && patient && m.sweeps && m.at >= 0
		if over && !m.owed && m.lag.until.IsZero() {
			m.lag.until = now.Add(grace)
			if pos == m.lag.pos {
				m.lag.until = m.lag.since.Add(grace)
			}
		}
		m.late = over && !m.owed && patient && now.Before(m.lag.until)
		if over && !m.late && !m.owed {
			if m.out.evict(fmt.Errorf("%w: %d bytes behind, the backlog is %d", ErrSlowConsumer, behind, r.backlog)) {
				r.counts.slow++
			}
			slow = append(slow, m)
		}
		m.stuck = m.stuck && m.far && pos == m.lag.seenPos
		r.markLocked(m, +1)
	}
	for _, m := range slow {
		r.removeLocked(m)
	}
	if !r.pace.held && r.mustHoldLocked() {
		r.pace.held = true
		r.pace.heldAt = now
		r.pace.forLate = 2*r.pace.far < r.members.Len()
		r.pace.gate = make(chan struct{})
		r.counts.holds++
	}
	r.repaceLocked()
	r.watchLocked()
}

// graceLocked returns how long a late member is waited for. r.mu must be held.
func (r *room) graceLocked(now time.Time) time.Duration {
	return min(max(r.clockLocked(now), minGrace), maxGrace)
}

// lateLocked says that m, with which the sweep was to catch up, is slow itself.
// r.mu must be held.
func (r *room) lateLocked(m *member) {
	if !m.owed {
		return
	}
	r.markLocked(m, -1)
	now := time.Now()
	m.owed, m.late, m.lag.until = false, true, now.Add(r.graceLocked(now))
	r.markLocked(m, +1)
	r.repaceLocked()
}

// clockLocked notes how far the log has grown, and returns how long the last
// recentBytes took. r.mu must be held.
func (r *room) clockLocked(now time.Time) time.Duration {
	p := &r.pace
	if p.recent[0].IsZero() {
		for i := range p.recent {
			p.recent[i] = now
		}
	}
	for last := r.log.end >> recentShift; p.step < last; {
		p.step++
		p.recent[p.step%recentSteps] = now
	}
	return now.Sub(p.recent[(p.step+1)%recentSteps])
}

// markLocked adds m to the counts that its marks say, or with -1 takes it out.
// r.mu must be held.
func (r *room) markLocked(m *member, by int) {
	if m.far {
		r.pace.far += by
	}
	if m.late {
		r.pace.late += by
	}
	if m.owed {
		r.pace.owed += by
	}
	if m.stuck {
		r.pace.stuck += by
	}
}

// unmarkLocked takes m out of the pace. r.mu must be held.
func (r *room) unmarkLocked(m *member) {
	r.markLocked(m, -1)
	m.far, m.late, m.owed, m.stuck, m.lag = false, false, false, false, nil
}

// posLocked returns the position up to which m has been written to.
func (r *room) posLocked(m *member) int64 {
	if m.idle() || m.deaf {
		return r.log.end
	}
	return m.pos.Load()
}

func (r *room) mustHoldLocked() bool {
	return r.state == roomOpen &&
		(2*r.pace.far > r.members.Len() || r.pace.late > 0 || r.pace.owed > 0 || r.tiedLocked())
}

func (r *room) tiedLocked() bool {
	return 2*r.pace.far == r.members.Len() && r.pace.far > r.pace.stuck
}

// progressLocked is called while the room is watched, when m has been written to
// up to pos. r.mu must be held.
func (r *room) progressLocked(m *member, pos int64) {
	if m.far && r.log.end-pos <= r.backlog/4 {
		r.unmarkLocked(m)
	}
	r.repaceLocked()
	r.tellWaitersLocked(m, pos)
	r.watchLocked()
}

// repaceLocked releases the room if the reason to hold it is gone, and sees to
// it that neither the late nor a tie hold it for long. r.mu must be held.
func (r *room) repaceLocked() {
	if !r.pace.held {
		return
	}
	if !r.mustHoldLocked() {
		r.releaseLocked()
		return
	}
	gate := r.pace.gate
	if r.pace.late > 0 && r.pace.grace == nil {
		r.pace.grace = time.AfterFunc(r.untilLateLocked(), func() { r.graceOver(gate) })
	}
	if r.tiedLocked() && r.pace.tie == nil {
		for e := r.members.Front(); e != nil; e = e.Next() {
			if m := e.Value.(*member); m.far {
				m.lag.seenPos = r.posLocked(m)
			}
		}
		r.pace.tie = time.AfterFunc(tieGrace, func() { r.tieOver(gate) })
	}
}

// untilLateLocked returns how long the room is still held for the one it is held
// for shortest. r.mu must be held.
func (r *room) untilLateLocked() time.Duration {
	shortest := time.Duration(math.MaxInt64)
	for e := r.members.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*member); m.late {
			shortest = min(shortest, time.Until(m.lag.until))
		}
	}
	return shortest
}

// graceOver stops waiting for those who have had their time: they catch up or,
// when publishing goes on, are evicted. It runs on a goroutine of the timer's,
// and does nothing when the hold that gate stands for is over.
func (r *room) graceOver(gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.pace.held || r.pace.gate != gate {
		return
	}
	r.pace.grace = nil
	for e := r.members.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*member); m.late && time.Until(m.lag.until) <= 0 {
			m.late = false
			r.pace.late--
		}
	}
	r.repaceLocked()
}

// tieOver looks, a grace after a tie began, who of those far behind is stuck. It
// runs as graceOver does.
func (r *room) tieOver(gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.pace.held || r.pace.gate != gate {
		return
	}
	r.pace.tie = nil
	for e := r.members.Front(); e != nil; e = e.Next() {
		m := e.Value.(*member)
		if m.far && !m.stuck && m.pos.Load() == m.lag.seenPos {
			m.stuck = true
			r.pace.stuck++
		}
	}
	r.repaceLocked()
}

// releaseLocked lets held publishers go on. r.mu must be held.
func (r *room) releaseLocked() {
	if !r.pace.held {
		return
	}
	r.pace.held = false
	if r.pace.forLate {
		// What the late cost the room does not lengthen what it waits for them.
		cost := time.Since(r.pace.heldAt)
		for i := range r.pace.recent {
			r.pace.recent[i] = r.pace.recent[i].Add(cost)
		}
	}
	close(r.pace.gate)
	for _, timer := range []*time.Timer{r.pace.grace, r.pace.tie} {
		if timer != nil {
			timer.Stop()
		}
	}
	r.pace.grace, r.pace.tie = nil, nil
	r.watchLocked()
}

// watchLocked tells the writers whether anybody waits for their progress. r.mu
// must be held.
func (r *room) watchLocked() {
	r.watched.Store(r.pace.held || r.waiting > 0)
}

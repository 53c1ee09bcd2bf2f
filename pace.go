package chatroom

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// tieGrace is how long a room half of which is far behind is held while that
// half takes nothing at all.
const tieGrace = 2 * time.Second

// pace keeps a room at the speed of its middle member. All of it is guarded by
// room.mu.
//
// While more than half of the members are far behind, more than half of the
// backlog, the others' publishing is held; it goes on when enough of them are
// within a quarter. So a member a whole backlog behind is far slower than the
// middle, and only such a member is evicted.
//
// Exactly half of the members is all who listen in a room of two. It is held
// for them as well, but only as long as they take something now and then: one
// that takes nothing for tieGrace is stuck and no longer counts.
type pace struct {
	held  bool
	gate  chan struct{} // closed by the release; replaced by each hold
	far   int           // members more than half a backlog behind
	stuck int           // those of them that took nothing during a grace
	tie   *time.Timer   // runs while a tie is what holds the room
}

// A flusher waits until each member that is behind has been written to up to a
// position.
type flusher struct {
	upTo   int64
	behind map[*member]struct{}
	done   chan struct{} // closed when behind is empty
}

// checkPaceLocked is called when the log has grown by a chunk. It evicts the
// members that were more than the backlog behind position from, where the log
// ended before, and decides whether the room is held. r.mu must be held.
func (r *room) checkPaceLocked(from int64) {
	r.pace.far, r.pace.stuck = 0, 0
	for e := r.members.Front(); e != nil; {
		m := e.Value.(*member)
		e = e.Next() // before m is removed
		pos := r.posLocked(m)
		if behind := from - pos; behind > r.backlog {
			m.far, m.stuck = false, false
			r.counts.slow++
			m.evict(fmt.Errorf("%w: %d bytes behind, the backlog is %d", ErrSlowConsumer, behind, r.backlog))
			r.removeLocked(m)
			continue
		}
		m.far = r.log.end-pos > r.backlog/2
		m.stuck = m.stuck && m.far && pos == m.seenPos
		if m.far {
			r.pace.far++
		}
		if m.stuck {
			r.pace.stuck++
		}
	}
	if !r.pace.held && r.mustHoldLocked() {
		r.pace.held = true
		r.pace.gate = make(chan struct{})
		r.counts.held++
		r.watchLocked()
	}
	r.repaceLocked()
}

// posLocked returns the position up to which m has been written to.
func (r *room) posLocked(m *member) int64 {
	if m.idleAt >= 0 {
		return r.log.end
	}
	return m.pos.Load()
}

func (r *room) mustHoldLocked() bool {
	return r.state == roomOpen &&
		(2*r.pace.far > r.members.Len() || r.tiedLocked())
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
	r.flushers = slices.DeleteFunc(r.flushers, func(f *flusher) bool {
		if pos >= f.upTo {
			delete(f.behind, m)
		}
		if len(f.behind) > 0 {
			return false
		}
		close(f.done)
		return true
	})
	r.watchLocked()
}

// unmarkLocked takes m out of the pace. r.mu must be held.
func (r *room) unmarkLocked(m *member) {
	if m.far {
		m.far = false
		r.pace.far--
	}
	if m.stuck {
		m.stuck = false
		r.pace.stuck--
	}
}

// repaceLocked releases the room if the reason to hold it is gone, and sees to
// it that a tie does not last. r.mu must be held.
func (r *room) repaceLocked() {
	switch {
	case !r.pace.held:
	case !r.mustHoldLocked():
		r.releaseLocked()
	case r.tiedLocked() && r.pace.tie == nil:
		for e := r.members.Front(); e != nil; e = e.Next() {
			m := e.Value.(*member)
			m.seenPos = r.posLocked(m)
		}
		gate := r.pace.gate
		r.pace.tie = time.AfterFunc(tieGrace, func() { r.tieOver(gate) })
	}
}

// tieOver looks, a grace after a tie began, who of those far behind is stuck. It
// runs on a goroutine of the timer's, and does nothing when the hold that gate
// stands for is over.
func (r *room) tieOver(gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.pace.held || r.pace.gate != gate {
		return
	}
	r.pace.tie = nil
	for e := r.members.Front(); e != nil; e = e.Next() {
		m := e.Value.(*member)
		if m.far && !m.stuck && m.pos.Load() == m.seenPos {
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
	close(r.pace.gate)
	if r.pace.tie != nil {
		r.pace.tie.Stop()
		r.pace.tie = nil
	}
	r.watchLocked()
}

// watchLocked tells the writers whether anybody waits for their progress. r.mu
// must be held.
func (r *room) watchLocked() {
	r.watched.Store(r.pace.held || len(r.flushers) > 0)
}

// flush blocks until all that was published before the call has been written to
// every member, or the member has left, or ctx ends.
func (r *room) flush(ctx context.Context) error {
	r.mu.Lock()
	f := &flusher{
		upTo:   r.log.end,
		behind: make(map[*member]struct{}),
		done:   make(chan struct{}),
	}
	for e := r.members.Front(); e != nil; e = e.Next() {
		m := e.Value.(*member)
		if r.posLocked(m) < f.upTo {
			f.behind[m] = struct{}{}
		}
	}
	if len(f.behind) == 0 {
		r.mu.Unlock()
		return nil
	}
	r.flushers = append(r.flushers, f)
	r.watchLocked()
	r.mu.Unlock()

	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.flushers = slices.DeleteFunc(r.flushers, func(g *flusher) bool { return g == f })
		r.watchLocked()
		return ctx.Err()
	}
}

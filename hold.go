package chatroom

import (
	"errors"
	"fmt"
	"time"

	"example.com/chatroom/internal/pace"
)

// ErrSlowConsumer is the reason why a member left that did not keep up with the room.
// It was far slower than the others and further behind than [WithBacklog] allows, or
// took nothing for as long as [WithWriteTimeout] allows.
var ErrSlowConsumer = errors.New("chatroom: slow consumer")

// paced updates and yields each member's part in the pace. r.mu must be held.
func (r *room) paced(yield func(*pace.Member) bool) {
	for e := r.members.Front(); e != nil; e = e.Next() {
		m := e.Value.(*seat)
		if m.state == seatFailed {
			continue // it would seem to have caught up, and the purse would be refunded
		}
		m.pace.Pos, m.pace.Blocked = r.posLocked(m), m.state == seatWriting
		if !yield(&m.pace) {
			return
		}
	}
}

// lookLocked asks the pace whether to hold the room, and whom to evict. It is called
// when the log has grown by a chunk and, while the room is held, whenever that may
// release it. r.mu must be held.
func (r *room) lookLocked(now time.Time) {
	r.watched.Store(true) // before positions are read, so that no progress is missed
	verdict := r.pace.Look(now, r.log.End(), r.pacedFunc)
	if verdict.Evict > 0 {
		r.evictLocked()
	}
	for _, m := range r.leaving {
		if r.log.End()-r.posLocked(m) > r.cfg.backlog { // the log is kept for it
			m.owner.abort(ErrSlowConsumer)
		}
	}
	r.holdLocked(verdict.Hold && r.state == roomOpen)
	switch {
	case verdict.Again <= 0 || r.state != roomOpen || r.members.Len() == 0:
		r.stopLookingLocked()
	case r.lookTimer == nil:
		r.lookTimer = time.AfterFunc(verdict.Again, r.lookAgain)
	default:
		r.lookTimer.Reset(verdict.Again)
	}
}

// lookAgain runs on a goroutine of lookTimer's, maybe once more after Stop.
func (r *room) lookAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == roomOpen {
		r.lookLocked(time.Now())
	}
}

func (r *room) lookIfHeldLocked() {
	if r.held {
		r.lookLocked(time.Now())
	}
}

func (r *room) stopLookingLocked() {
	if r.lookTimer != nil {
		r.lookTimer.Stop()
	}
}

// evictLocked disconnects the members that the pace has found too slow. r.mu must be
// held.
func (r *room) evictLocked() {
	for _, m := range r.seatsLocked() {
		if !m.pace.Evict {
			continue
		}
		behind := r.log.End() - r.posLocked(m)
		m.owner.abort(fmt.Errorf("%w: %d bytes behind, the backlog is %d", ErrSlowConsumer, behind, r.cfg.backlog))
		r.removeLocked(m)
	}
}

// holdLocked makes publishing wait, or go on. r.mu must be held.
func (r *room) holdLocked(hold bool) {
	switch {
	case hold && !r.held:
		r.held, r.heldAt = true, time.Now()
		r.counts.holds++
	case !hold && r.held:
		r.held = false
		r.counts.holdTime += time.Since(r.heldAt)
		r.passTurnLocked()
	}
	r.watchLocked()
}

// progress is called, while the room is watched, when m has been written to up to pos.
func (r *room) progress(m *seat, pos int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progressLocked(m, pos)
}

func (r *room) progressLocked(m *seat, pos int64) {
	if r.held && m.state != seatLeft && r.pace.Moved(&m.pace, pos) {
		r.lookLocked(time.Now())
	}
	r.wakeWaitersLocked(m, pos)
}

// watchLocked tells those who write whether to report progress. r.mu must be held.
func (r *room) watchLocked() {
	r.watched.Store(r.held || r.flushes > 0)
}

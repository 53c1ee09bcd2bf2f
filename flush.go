package chatroom

import (
	"context"
	"slices"
)

// A waiter is somebody who waits until a member has been written to up to a position.
type waiter struct {
	upTo int64
	done chan struct{} // closed then, or when the member has left
}

// flush waits until each member has been written all that was published before the
// call, or has left, unless ctx ends.
func (r *room) flush(ctx context.Context) error {
	r.mu.Lock()
	upTo := r.log.End()
	members := r.seatsLocked()
	r.mu.Unlock()
	for _, m := range members {
		if !r.awaitWritten(m, upTo, ctx) {
			return ctx.Err()
		}
	}
	return nil
}

// awaitWritten waits until m has been written to up to a position, or has left. It
// reports false if caller was done first.
func (r *room) awaitWritten(m *seat, upTo int64, caller doner) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushes++
	r.watchLocked() // before the position is read, so that no progress is missed
	defer func() {
		r.flushes--
		r.watchLocked()
	}()
	if m.state == seatLeft || r.posLocked(m) >= upTo {
		return true
	}
	w := waiter{upTo, make(chan struct{})}
	m.waiters = append(m.waiters, w)
	r.mu.Unlock()
	ok := true
	select {
	case <-w.done:
	case <-caller.Done():
		ok = false
	}
	r.mu.Lock()
	if !ok {
		m.waiters = slices.DeleteFunc(m.waiters, func(other waiter) bool { return other == w })
	}
	return ok
}

func (r *room) logEnd() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.End()
}

// wakeWaitersLocked wakes those who wait until m has been written to up to pos. r.mu
// must be held.
func (r *room) wakeWaitersLocked(m *seat, pos int64) {
	m.waiters = slices.DeleteFunc(m.waiters, func(w waiter) bool {
		if pos < w.upTo {
			return false
		}
		close(w.done)
		return true
	})
}

package chatroom

import "slices"

// A waiter waits until members that are behind have been written to up to a
// position. It is guarded by room.mu.
type waiter struct {
	upTo   int64
	behind int           // members; each has the waiter among its own
	done   chan struct{} // closed when behind comes down to zero
}

// flush blocks until all that was published before the call has been written to
// every member, or only to the one that is given, or the member has left. It
// reports false if done was closed first.
func (r *room) flush(done <-chan struct{}, only *member) bool {
	w := &waiter{done: make(chan struct{})}
	r.mu.Lock()
	r.watched.Store(true) // before positions are read, so that no progress is missed
	w.upTo = r.log.end
	r.eachLocked(only, func(m *member) {
		if r.posLocked(m) < w.upTo {
			m.waiters = append(m.waiters, w)
			w.behind++
		}
	})
	waits := w.behind > 0
	if waits {
		r.waiting++
	}
	r.watchLocked()
	r.mu.Unlock()
	if !waits {
		return true
	}

	select {
	case <-w.done:
		return true
	case <-done:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.behind > 0 {
		r.eachLocked(only, func(m *member) {
			m.waiters = slices.DeleteFunc(m.waiters, func(other *waiter) bool { return other == w })
		})
		r.waiting--
		r.watchLocked()
	}
	return false
}

// eachLocked calls f for every member, or only for the one that is given, if it
// is listed. r.mu must be held.
func (r *room) eachLocked(only *member, f func(*member)) {
	if only != nil { // at the server's end there is a flush for each member
		if only.elem != nil {
			f(only)
		}
		return
	}
	for e := r.members.Front(); e != nil; e = e.Next() {
		f(e.Value.(*member))
	}
}

// tellWaitersLocked tells those who wait for m that it has been written to up to
// pos. r.mu must be held.
func (r *room) tellWaitersLocked(m *member, pos int64) {
	m.waiters = slices.DeleteFunc(m.waiters, func(w *waiter) bool {
		if pos < w.upTo {
			return false
		}
		if w.behind--; w.behind == 0 {
			close(w.done)
			r.waiting--
		}
		return true
	})
}

package chatroom

import "runtime"

// sweep writes what is owed to the swept members, each in turn and without
// waiting for any, until nothing is owed. Publishing starts it, on a goroutine
// of its own, one at a time. A member that does not take all at once goes to a
// writer of its own, and comes back when that has caught up.
//
// Going from member to member beats a writer for each as long as nobody is slow:
// nothing has to be scheduled to get to the next write, and what is published
// meanwhile makes those to come longer.
func (r *room) sweep() {
	defer r.sweeper.Done()
	list := memberLists.Get().(*[]*member)
	for {
		// What other members have sent is on its way to be published: a round that
		// sets out with it needs fewer writes.
		runtime.Gosched()
		upTo, ok := r.startRound(list)
		if !ok {
			break
		}
		for i, m := range *list {
			(*list)[i] = nil
			r.visit(m, upTo)
		}
	}
	memberLists.Put(list)
}

// startRound fills list with the swept members, and returns up to where they are
// owed the log. If they are owed nothing the sweep must end.
func (r *room) startRound(list *[]*member) (upTo int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = (*list)[:0]
	if r.sweptTo == r.log.end || len(r.swept) == 0 {
		r.sweeping = false
		return 0, false
	}
	r.sweptTo = r.log.end
	*list = append(*list, r.swept...)
	return r.sweptTo, true
}

// visit writes to m what it is owed, at least up to upTo unless it does not take
// that much.
func (r *room) visit(m *member, upTo int64) {
	for done := false; !done; {
		run := r.next(m)
		n := 0
		if len(run) > 0 {
			var err error
			if n, err = m.out.tryWrite(run); err != nil || n < len(run) {
				r.wrote(m, n)
				r.leaveSweep(m)
				return
			}
		}
		r.wrote(m, n) // also when it has only passed messages of its own
		done = n == 0 || m.cur.pos() >= upTo
	}
	m.dropScratch()
}

// leaveSweep gives m a writer of its own, if it is still listed. The writer meets
// an error again.
func (r *room) leaveSweep(m *member) {
	r.mu.Lock()
	listed := m.elem != nil
	if listed {
		r.unrestLocked(m)
		m.writer.Add(1)
	}
	r.mu.Unlock()
	if listed {
		go m.out.writeOwed()
	} else {
		m.retire()
	}
}

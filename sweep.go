package chatroom

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// sweepShare is for how many members a sweep has one helper.
	sweepShare = 128

	// sweepStride is how many members one of them takes at a time.
	sweepStride = 32

	// sweepQuantum is how many bytes a visit writes, give or take a chunk, before
	// it is the next member's turn. Without it a fast reader could keep a visit going
	// for as long as others publish.
	sweepQuantum = 2 * maxChunk
)

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
	round := sweepRounds.Get().(*sweepRound)
	round.unfinished.Store(false)
	defer sweepRounds.Put(round)
	for {
		// Other members are about to publish what they have sent: the round then needs
		// fewer writes.
		runtime.Gosched()
		if !r.startRound(round) {
			return
		}
		round.run()
	}
}

// startRound makes a round of the swept members, up to the end of the log, after
// the one before. If they are owed nothing it reports false, and the sweep must
// end.
func (r *room) startRound(round *sweepRound) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.departed {
		m.retire()
	}
	clear(r.departed)
	r.departed = r.departed[:0]
	// Members at rest are where the last round has left them, or at the end of the
	// log. A writer's cursor may be anywhere.
	switch {
	case r.writers > 0:
		r.log.Release()
	case !round.unfinished.Load():
		r.log.Reclaim(r.sweptTo)
	}
	if (r.sweptTo == r.log.End() && !round.unfinished.Load()) || len(r.swept) == 0 {
		r.sweeping = false
		return false
	}
	round.unfinished.Store(false)
	r.sweptTo = r.log.End()
	round.room, round.upTo = r, r.log.End()
	round.members = append(round.members, r.swept...)
	return true
}

// A sweepRound visits members once.
type sweepRound struct {
	// Fixed while it runs.
	room    *room
	members []*seat
	upTo    int64
	help    func() // bound once, so that starting it needs no memory

	unfinished atomic.Bool // somebody is owed more and would have taken it

	next    atomic.Int64   // index of the first member that nobody has taken
	helpers sync.WaitGroup // the goroutines that run help
}

// sweepRounds holds *sweepRound.
var sweepRounds = sync.Pool{New: func() any {
	round := new(sweepRound)
	round.help = func() {
		defer round.helpers.Done()
		round.visitSome()
	}
	return round
}}

// run visits all members, on several goroutines if they are so many that one
// processor would take its time.
func (s *sweepRound) run() {
	s.next.Store(0)
	for range min(len(s.members)/sweepShare, runtime.GOMAXPROCS(0)-1) {
		s.helpers.Add(1)
		go s.help()
	}
	s.visitSome()
	s.helpers.Wait()
	clear(s.members)
	s.members, s.room = s.members[:0], nil
}

// visitSome visits members until all have been taken.
func (s *sweepRound) visitSome() {
	runs := runLists.Get().(*runList)
	defer runLists.Put(runs)
	for {
		to := int(s.next.Add(sweepStride))
		from := to - sweepStride
		if from >= len(s.members) {
			return
		}
		for _, m := range s.members[from:min(to, len(s.members))] {
			if !s.room.visit(m, runs, s.upTo) {
				s.unfinished.Store(true)
			}
		}
	}
}

// visit writes to m what it is owed, at least up to upTo unless it does not take
// that much. It reports false if it has left off because it is others' turn.
func (r *room) visit(m *seat, runs *runList, upTo int64) (finished bool) {
	for quantum := sweepQuantum; quantum > 0; {
		owed, n, err := m.writeSome(runs, m.conn.TryWrite)
		switch {
		case err != nil || n < owed:
			r.leaveSweep(m)
			return true
		case owed == 0 || m.cur.Pos() >= upTo:
			return true
		}
		quantum -= n
	}
	return false
}

// leaveSweep gives m a writer of its own, if it is still listed. The writer meets
// an error again.
func (r *room) leaveSweep(m *seat) {
	r.mu.Lock()
	listed := m.state == seatAtRest
	if listed {
		r.moveLocked(m, seatWriting)
		r.lookIfHeldLocked() // m counts as blocked now, which may change the verdict
	}
	r.mu.Unlock()
	if listed {
		go m.writerFunc()()
	} else {
		m.retire()
	}
}

package chatroom

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// A round has a helper for each membersPerHelper members.
	membersPerHelper = 128

	// sweepStride is how many members a goroutine of a round takes at a time.
	sweepStride = 32

	// sweepQuantum is how many bytes a visit writes, give or take a chunk. Without it
	// a fast reader could keep a visit going for as long as others publish.
	sweepQuantum = 2 * maxChunk
)

// sweep writes what is owed to the polled members at rest, each in turn and without
// waiting for any, until nothing is owed. Publishing starts it unless it runs. A
// member that does not take all gets a writer of its own, until it has caught up.
//
// As long as nobody is slow this costs less than a writer for each: nothing has to be
// scheduled to get to the next write, and what is published meanwhile makes the
// writes to come longer.
func (r *room) sweep() {
	defer r.sweepers.Done()
	round := sweepRounds.Get().(*sweepRound)
	round.unfinished.Store(false)
	defer sweepRounds.Put(round)
	for {
		// With what other members are about to publish, the round needs fewer writes.
		runtime.Gosched()
		if !r.startRound(round) {
			return
		}
		round.run()
	}
}

// startRound makes ready a round up to the end of the log. If nothing is owed it
// reports false, and the sweep must end.
func (r *room) startRound(round *sweepRound) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.departed {
		m.dropCursor()
	}
	clear(r.departed)
	r.departed = r.departed[:0]
	// A writer's cursor may be anywhere. Without writers, all members are where the
	// last round has left them, or at the end of the log.
	switch {
	case r.writers > 0:
		r.log.Release()
	case !round.unfinished.Load():
		r.log.Reclaim(min(r.sweptTo, r.history.pos()))
	}
	if (r.sweptTo == r.log.End() && !round.unfinished.Load()) || len(r.polled) == 0 {
		r.sweeping = false
		return false
	}
	round.unfinished.Store(false)
	r.sweptTo = r.log.End()
	round.room, round.upTo = r, r.log.End()
	round.members = append(round.members, r.polled...)
	return true
}

// A sweepRound visits members once.
type sweepRound struct {
	// Fixed while it runs.
	room     *room
	members  []*seat
	upTo     int64
	helpFunc func()

	unfinished atomic.Bool    // somebody is owed more and would have taken it
	taken      atomic.Int64   // members[:taken] are visited or being visited
	helpers    sync.WaitGroup // the goroutines that run help
}

// sweepRounds holds *sweepRound.
var sweepRounds = sync.Pool{New: func() any {
	round := new(sweepRound)
	round.helpFunc = round.help
	return round
}}

// run visits all members, on several goroutines if there are many.
func (s *sweepRound) run() {
	s.taken.Store(0)
	for range min(len(s.members)/membersPerHelper, runtime.GOMAXPROCS(0)-1) {
		s.helpers.Add(1)
		go s.helpFunc()
	}
	s.visitSome()
	s.helpers.Wait()
	clear(s.members)
	s.members, s.room = s.members[:0], nil
}

func (s *sweepRound) help() {
	defer s.helpers.Done()
	s.visitSome()
}

// visitSome visits members until all have been taken.
func (s *sweepRound) visitSome() {
	runs := runLists.Get().(*runList)
	defer runLists.Put(runs)
	for {
		to := int(s.taken.Add(sweepStride))
		from := to - sweepStride
		if from >= len(s.members) {
			return
		}
		written := 0
		for _, m := range s.members[from:min(to, len(s.members))] {
			n, finished := s.room.visit(m, runs, s.upTo)
			if written += n; !finished {
				s.unfinished.Store(true)
			}
		}
		s.room.countWritten(written)
	}
}

// visit writes to m what it is owed, at least up to upTo if it takes that much. It
// returns how many bytes it has written. It reports false if sweepQuantum was not enough
// for all.
func (r *room) visit(m *seat, runs *runList, upTo int64) (written int, finished bool) {
	for written < sweepQuantum {
		size, n, err := m.writeSome(runs, m.conn.TryWrite)
		written += n
		switch {
		case err != nil || n < size:
			r.leaveSweep(m)
			return written, true
		case size == 0 || m.cur.Pos() >= upTo:
			return written, true
		}
	}
	return written, false
}

// leaveSweep gives m a writer of its own, if it is still listed. After an error, the
// writer's first write fails as well.
func (r *room) leaveSweep(m *seat) {
	r.mu.Lock()
	listed := m.state == seatAtRest
	if listed {
		r.moveLocked(m, seatWriting)
		r.lookIfHeldLocked() // m counts as blocked now
	}
	r.mu.Unlock()
	if listed {
		m.startWriter()
	} else {
		m.dropCursor()
	}
}

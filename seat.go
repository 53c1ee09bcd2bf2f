package chatroom

import (
	"container/list"
	"sync"
	"sync/atomic"

	"example.com/chatroom/internal/journal"
	"example.com/chatroom/internal/pace"
	"example.com/chatroom/internal/transport"
)

// maxRuns is how many runs of bytes one write may take, with gaps between them for
// what is not for the member.
const maxRuns = 64

// An owner is a seat's connection as the room sees it. Its methods do not wait, and
// but for writeFailed they may be called with the room's lock held.
type owner interface {
	publisher // Done is closed when this end has ended the connection

	// abort ends the connection, and reports whether it was the first to.
	abort(reason error) bool

	// writeFailed is told, without the lock, that nothing more can be written.
	writeFailed(err error)
}

// A seat is one member's place in a room. room.mu guards all fields without a comment
// that says otherwise.
type seat struct {
	// Fixed before the join.
	Member // ID and JoinedAt are set by the join
	room   *room
	owner  owner
	prefix []byte // the name as a frame
	conn   transport.Conn

	// writer counts the goroutine that runs the member's writer: none or one. Add
	// is called under room.mu and only while the room lists the member.
	writer sync.WaitGroup

	// write is runWriter once it has been needed, bound once, so that starting it
	// needs no memory. Whoever starts the writer owns it.
	write func()

	// cur is where the member is in the log. The writer owns it while there is one. At
	// rest the sweep does, or room.mu guards it if the connection is not polled.
	cur journal.Cursor

	// pos is the position up to which all is written; see posLocked.
	pos atomic.Int64

	state   seatState
	elem    *list.Element // nil before the join and after the leave
	at      int           // at rest: the index in room.swept or room.idle
	pace    pace.Member
	waiters []waiter // who waits for it to be written to
}

type seatState uint8

const (
	seatNew     seatState = iota // it has not joined
	seatAtRest                   // it has no writer. If its connection is polled, the sweep writes to it. If not, it has no cursor, and counts as written to
	seatWriting                  // it has a writer, which waits for its connection
	seatDeaf                     // writing to it has failed: it receives nothing more and counts as written to, but may publish until it leaves
	seatLeft                     // it is off the list
)

// moveLocked moves m to a state, and into and out of the room's lists of those at
// rest. r.mu must be held.
func (r *room) moveLocked(m *seat, to seatState) {
	from := m.state
	m.state = to
	if from == seatAtRest {
		r.unrestLocked(m)
	}
	switch {
	case to == seatAtRest:
		r.restLocked(m)
	case to == seatWriting:
		r.writers++
		m.writer.Add(1)
	case from == seatWriting: // its writer retires it
	case m.conn.Polled() && r.sweeping:
		r.departed = append(r.departed, m)
	default:
		m.retire() // or its cursor would keep the log for as long as a leave hook runs
	}
}

// restLocked puts m, which is at the end of the log, among those at rest. r.mu must
// be held.
func (r *room) restLocked(m *seat) {
	resting := r.restingLocked(m)
	m.at = len(*resting)
	*resting = append(*resting, m)
	if m.conn.Polled() {
		m.pos.Store(r.log.End())
	} else {
		m.cur = journal.Cursor{}
	}
}

// unrestLocked takes m from among those at rest. r.mu must be held.
func (r *room) unrestLocked(m *seat) {
	resting := r.restingLocked(m)
	last := len(*resting) - 1
	(*resting)[m.at] = (*resting)[last]
	(*resting)[m.at].at = m.at
	(*resting)[last] = nil
	*resting = (*resting)[:last]
}

func (r *room) restingLocked(m *seat) *[]*seat {
	if m.conn.Polled() {
		return &r.swept
	}
	return &r.idle
}

// posLocked returns the position up to which m has been written to. r.mu must be
// held.
func (r *room) posLocked(m *seat) int64 {
	if m.state == seatDeaf || m.state == seatAtRest && !m.conn.Polled() {
		return r.log.End()
	}
	return m.pos.Load()
}

// writerFunc returns runWriter, to be started by who has moved m to seatWriting.
func (m *seat) writerFunc() func() {
	if m.write == nil {
		m.write = m.runWriter
	}
	return m.write
}

// runWriter writes what m is owed, waiting for the connection, until nothing is
// owed or the connection fails. It runs on a goroutine of its own.
func (m *seat) runWriter() {
	defer m.writer.Done()
	runs := runLists.Get().(*runList)
	defer runLists.Put(runs)
	for {
		owed, _, err := m.writeSome(runs, m.conn.Write)
		switch {
		case err != nil:
			m.owner.writeFailed(err) // before deafen wakes those who wait, so that they see the error
			m.room.deafen(m)
			return
		case owed == 0:
			m.conn.EndWrites()
			if m.room.tryRest(m) {
				return
			}
		}
	}
}

// writeSome gives write what m is owed next, about as much as a visit of the sweep
// writes, and accounts for what was written. It returns how much there was and how much of
// it was written, in bytes.
func (m *seat) writeSome(runs *runList, write func([][]byte) (int, error)) (owed, n int, err error) {
	list, behind := m.cur.Runs(m.ID, runs[:0], sweepQuantum)
	for _, run := range list {
		owed += len(run)
	}
	if owed > 0 {
		n, err = write(list)
		clear(list)
	}
	if n == owed {
		m.cur = behind
	} else {
		m.cur.Advance(m.ID, n)
	}
	pos := m.cur.Pos()
	m.pos.Store(pos)
	if m.room.watched.Load() {
		m.room.progress(m, pos)
	}
	return owed, n, err
}

// A runList is room for the runs of bytes of one write.
type runList [maxRuns][]byte

// runLists holds *runList.
var runLists = sync.Pool{New: func() any { return new(runList) }}

// tryRest reports whether m's writer must return: m has all that was published, or
// is no longer written to.
func (r *room) tryRest(m *seat) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.state == seatWriting {
		if m.cur.Pos() != r.log.End() {
			return false
		}
		r.moveLocked(m, seatAtRest)
		r.progressLocked(m, r.log.End())
	} else {
		m.retire()
	}
	r.writers--
	return true
}

// deafen ends m's writer, which has failed. m may still publish until it leaves.
func (r *room) deafen(m *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.state == seatWriting {
		r.moveLocked(m, seatDeaf)
	}
	m.retire()
	r.writers--
	r.progressLocked(m, r.log.End())
	r.lookIfHeldLocked()
}

// retire clears the cursor, so that what it was the last to need can be freed.
func (m *seat) retire() { m.cur = journal.Cursor{} }

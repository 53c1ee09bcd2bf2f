package chatroom

import (
	"container/list"
	"sync"
	"sync/atomic"

	"example.com/chatroom/internal/journal"
	"example.com/chatroom/internal/pace"
	"example.com/chatroom/internal/transport"
)

// An owner is a seat's session as the room sees it. Its methods do not wait, and all
// but writeFailed may be called with the room's lock held.
type owner interface {
	doner // when this end has ended the connection

	// abort ends the connection.
	abort(reason error)

	// writeFailed is called when nothing more can be written.
	writeFailed(err error)
}

// A seat is one member's place in a room.
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

	// Owned by startWriter. It is nil until it is needed, since most polled members
	// need no writer.
	runWriterFunc func()

	// cur is where the member is in the log. The writer owns it while there is one. At
	// rest the sweep does, or room.mu guards it if the connection is not polled.
	cur journal.Cursor

	// pos is the position up to which all is written; see posLocked. What begins at
	// until or later is not for the member, which was kicked.
	pos, until atomic.Int64

	// Guarded by room.mu.
	state     seatState
	elem      *list.Element // its place on the list; nil before the join, and once it has left or was kicked
	restIndex int           // at rest: its index in room.polled or room.unpolled
	pace      pace.Member
	waiters   []waiter // who waits for it to be written to
}

type seatState uint8

const (
	seatNew     seatState = iota // it has not joined
	seatAtRest                   // it has no writer. If it is polled, the sweep writes to it. If not, it has no cursor, and all is written
	seatWriting                  // it has a writer, which waits for its connection
	seatFailed                   // writing to it has failed. It receives nothing more and counts as written to, but may publish until it leaves
	seatLeft                     // it is out of the room
)

// moveLocked moves m to a state, and into and out of the room's lists of members at
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
	case from == seatWriting: // its writer drops the cursor
	case m.conn.Polled() && r.sweeping:
		r.departed = append(r.departed, m)
	default:
		m.dropCursor() // not later, since a leave hook may run for long
	}
}

// restLocked lists m, which is at the end of the log, as at rest. r.mu must be held.
func (r *room) restLocked(m *seat) {
	resting := r.restingLocked(m)
	m.restIndex = len(*resting)
	*resting = append(*resting, m)
	if m.conn.Polled() {
		m.pos.Store(r.log.End())
	} else {
		m.dropCursor()
	}
}

// unrestLocked undoes restLocked. r.mu must be held.
func (r *room) unrestLocked(m *seat) {
	resting := r.restingLocked(m)
	last := len(*resting) - 1
	(*resting)[m.restIndex] = (*resting)[last]
	(*resting)[m.restIndex].restIndex = m.restIndex
	(*resting)[last] = nil
	*resting = (*resting)[:last]
}

func (r *room) restingLocked(m *seat) *[]*seat {
	if m.conn.Polled() {
		return &r.polled
	}
	return &r.unpolled
}

// posLocked returns the position up to which m has been written to. r.mu must be
// held.
func (r *room) posLocked(m *seat) int64 {
	if m.state == seatFailed || m.state == seatAtRest && !m.conn.Polled() {
		return r.log.End()
	}
	return m.pos.Load()
}

// startWriter starts the writer, for the goroutine that has moved m to seatWriting.
func (m *seat) startWriter() {
	if m.runWriterFunc == nil {
		m.runWriterFunc = m.runWriter
	}
	go m.runWriterFunc()
}

// runWriter writes what m is owed, waiting for the connection, until nothing is
// owed or the connection fails.
func (m *seat) runWriter() {
	defer m.writer.Done()
	runs := runLists.Get().(*runList)
	defer runLists.Put(runs)
	for {
		size, n, err := m.writeSome(runs, m.conn.Write)
		m.room.countWritten(n)
		switch {
		case err != nil:
			m.owner.writeFailed(err) // first, since stopWriting wakes drain, which looks at the error
			m.room.stopWriting(m)
			return
		case size == 0:
			m.conn.ClearWriteDeadline()
			if m.room.tryRest(m) {
				return
			}
		}
	}
}

// writeSome calls write once, with about sweepQuantum bytes of what m is owed, and
// moves the cursor. It returns how many bytes it gave to write, and how many were
// written.
func (m *seat) writeSome(runs *runList, write func([][]byte) (int, error)) (size, n int, err error) {
	list, after := m.cur.Runs(m.ID, runs[:0], sweepQuantum)
	if until := m.until.Load(); after.Pos() > until { // looked at last, since what is in list may be later
		clear(list)
		list, after = m.cur.RunsTo(m.ID, runs[:0], sweepQuantum, until)
	}
	for _, run := range list {
		size += len(run)
	}
	if size > 0 {
		n, err = write(list)
		clear(list)
	}
	if n == size {
		m.cur = after
	} else {
		m.cur.Advance(m.ID, n)
	}
	pos := m.cur.Pos()
	m.pos.Store(pos)
	if m.room.watched.Load() {
		m.room.progress(m, pos)
	}
	return size, n, err
}

// A runList holds the runs of bytes of one write.
type runList [transport.MaxRuns][]byte

// runLists holds *runList.
var runLists = sync.Pool{New: func() any { return new(runList) }}

// tryRest moves m to rest if it has all that was published for it. It reports whether
// m's writer must return: m is at rest, or is no longer written to.
func (r *room) tryRest(m *seat) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.state == seatWriting && m.cur.Pos() < min(r.log.End(), m.until.Load()) {
		return false
	}
	switch {
	case m.state == seatWriting && m.elem != nil:
		r.moveLocked(m, seatAtRest)
		r.progressLocked(m, r.log.End())
	case m.state == seatWriting: // it was kicked, and has what it was owed
		r.removeLocked(m)
		m.dropCursor()
	default:
		m.dropCursor()
	}
	r.writers--
	return true
}

// stopWriting says that m's writer has failed and returns.
func (r *room) stopWriting(m *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.state == seatWriting {
		r.moveLocked(m, seatFailed)
	}
	m.dropCursor()
	r.writers--
	r.progressLocked(m, r.log.End())
	r.lookIfHeldLocked()
}

// dropCursor lets go of the part of the log that no other cursor needs.
func (m *seat) dropCursor() { m.cur = journal.Cursor{} }

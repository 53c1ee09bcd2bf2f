package chatroom

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chatroom/internal/journal"
	"example.com/chatroom/internal/pace"
)

const (
	// maxChunk is the size of a log chunk in bytes, unless a message is longer.
	maxChunk = 64 << 10

	// chunksPerBacklog is how many chunks a backlog has, unless maxChunk limits
	// their size.
	chunksPerBacklog = 32
)

// errNotMember reports a message of somebody who has already left.
var errNotMember = errors.New("chatroom: not a member")

// A room is an append-only log of encoded messages and the members that read it,
// each from a cursor of its own (a [seat]).
//
// Publishing appends a message once, whatever the number of members, and sees to
// it that they are written to: it starts the sweep, which serves those members
// that can be written to without waiting, and a writer for each other one that
// had nothing to write. Publishing waits while the room is held for a slow member.
type room struct {
	// Fixed after construction.
	backlog    int64
	checkAfter time.Duration                       // how long after a publish to check for vanished peers; zero is never
	sweepFunc  func()                              // sweep, bound once, so that starting it needs no memory
	pacedFunc  func(yield func(*pace.Member) bool) // paced, bound once as well

	// watched tells whoever writes to report progress under the lock: the room is
	// held or somebody waits until all is written.
	watched atomic.Bool

	// mu guards the fields below and is never held across I/O or a hook.
	mu         sync.Mutex
	log        *journal.Log
	members    list.List // of *seat, in the order of joining
	idle       []*seat   // those at rest that a writer is started for; see seat.at
	swept      []*seat   // those at rest that the sweep writes to; see seat.at
	sweeping   bool      // the sweep runs
	departed   []*seat   // removed from swept while the sweep runs; its round may still hold them
	sweptTo    int64     // up to where the sweep's last round was to write
	writers    int       // writers that run, also those of members that have left
	lastID     uint64
	state      roomState
	checkTimer *time.Timer // runs checkPeers; nil until it was needed
	checkSet   bool        // it is running
	checksLeft int         // how many checks are due after what was published last
	pace       *pace.Law
	held       bool            // publishing waits
	heldAt     time.Time       // since when
	again      *time.Timer     // looks at the pace; nil until it was needed
	queue      []chan struct{} // who waits to publish; each takes one token when it may be its turn
	flushes    int             // how many wait until members are written to
	counts     roomCounts

	// sweeper counts the goroutine that runs sweep: none or one. Add is called
	// under mu, and not once the room is closed or empty for good.
	sweeper sync.WaitGroup
}

type roomState uint8

const (
	roomOpen   roomState = iota // members join, and whoever may publishes
	roomEnding                  // members' messages are still published; nothing is held, nobody joins, the program publishes nothing
	roomClosed                  // nothing is published
)

// roomCounts is what Stats tells of a room.
type roomCounts struct {
	messages, bytes, slow, holds uint64
	held                         time.Duration // without the hold that goes on
}

func newRoom(backlog int64, checkAfter time.Duration) *room {
	r := &room{
		backlog:    backlog,
		checkAfter: checkAfter,
		log:        journal.New(int(min(max(backlog/chunksPerBacklog, headerLen), maxChunk))),
		pace:       pace.New(backlog),
	}
	r.sweepFunc, r.pacedFunc = r.sweep, r.paced
	return r
}

// join lists m, from the end of the log on.
func (r *room) join(m *seat) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state != roomOpen:
		return ErrServerClosed
	case m.state == seatLeft:
		return errNotMember // who ended the connection has told why, and its leave has passed
	}
	r.lastID++
	m.ID, m.JoinedAt = r.lastID, time.Now()
	m.elem = r.members.PushBack(m)
	m.cur = r.log.Cursor()
	r.moveLocked(m, seatAtRest)
	return nil
}

// leave takes m off the list, if it is there. Afterwards no writer is started for
// it, and it does not join.
func (r *room) leave(m *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(m)
	r.lookIfHeldLocked() // it may have been waited for
}

// removeLocked takes m off the list and out of all accounts. r.mu must be held.
func (r *room) removeLocked(m *seat) {
	if m.state == seatLeft {
		return
	}
	if m.elem != nil {
		r.members.Remove(m.elem)
		m.elem = nil
	}
	r.moveLocked(m, seatLeft)
	r.tellWaitersLocked(m, r.log.End())
}

// list returns a snapshot of the members in the order of joining.
func (r *room) list() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Member, 0, r.members.Len())
	for _, m := range r.seatsLocked() {
		all = append(all, m.Member)
	}
	return all
}

// seatsLocked returns the members in the order of joining. r.mu must be held.
func (r *room) seatsLocked() []*seat {
	all := make([]*seat, 0, r.members.Len())
	for e := r.members.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*seat))
	}
	return all
}

// end stops joins and the program's publishing, and lets waiting members publish.
func (r *room) end() { r.advance(roomEnding) }

// close stops all publishing.
func (r *room) close() { r.advance(roomClosed) }

func (r *room) advance(to roomState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = max(r.state, to)
	r.holdLocked(false)
	for _, turn := range r.queue {
		signal(turn)
	}
}

// A publisher is whoever publishes. Once Done is closed it does not wait any
// more. A context is one.
type publisher interface{ Done() <-chan struct{} }

// publish appends m's messages, in order, for everyone but m. It waits while the
// room is held, even if the peer has hung up: what was read whole is passed on. It
// fails once the server has disconnected m. It reports whether it has waited, and
// keeps none of the slices.
func (r *room) publish(m *seat, messages [][]byte) (waited bool, err error) {
	r.mu.Lock()
	waited, ok := r.enterLocked(m.owner)
	switch {
	case r.state == roomClosed:
		r.mu.Unlock()
		return waited, ErrServerClosed
	case !ok || m.elem == nil:
		r.passTurnLocked()
		r.mu.Unlock()
		return waited, errNotMember // whoever took it off the list has told the session why
	}
	r.appendAndUnlock(m.ID, m.prefix, messages...)
	return waited, nil
}

// broadcast appends one message for everyone. It waits while the room is held, and
// reports false when p was done first.
func (r *room) broadcast(p publisher, prefix, body []byte) (published bool, err error) {
	r.mu.Lock()
	_, ok := r.enterLocked(p)
	if r.state != roomOpen || !ok {
		r.passTurnLocked()
		closed := r.state != roomOpen
		r.mu.Unlock()
		if closed {
			err = ErrServerClosed
		}
		return false, err
	}
	r.appendAndUnlock(0, prefix, body)
	return true, nil
}

// enterLocked waits until p may publish: the room is not held, and it is p's turn
// among those who wait, first come, first served. When the room ends all may. waited
// says whether it has waited; ok is false if p was done first. r.mu must be held; it
// is released meanwhile.
func (r *room) enterLocked(p publisher) (waited, ok bool) {
	if r.state != roomOpen || !r.held && len(r.queue) == 0 {
		return false, true
	}
	turn := make(chan struct{}, 1)
	r.queue = append(r.queue, turn)
	for ok = true; ok && r.state == roomOpen && (r.held || r.queue[0] != turn); {
		r.mu.Unlock()
		select {
		case <-turn:
		case <-p.Done():
			ok = false
		}
		r.mu.Lock()
	}
	r.queue = slices.DeleteFunc(r.queue, func(other chan struct{}) bool { return other == turn })
	return true, ok
}

// passTurnLocked lets the first of those who wait publish, if the room is not held.
// r.mu must be held.
func (r *room) passTurnLocked() {
	if !r.held && len(r.queue) > 0 {
		signal(r.queue[0])
	}
}

// signal puts a token into ch, which has room for one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it holds one already
	}
}

// appendAndUnlock alone appends to the log: messages, each behind prefix, for
// everyone but the sender, zero being the program. r.mu must be held; it is released
// before writers are started.
func (r *room) appendAndUnlock(sender uint64, prefix []byte, messages ...[]byte) {
	start, from := r.log.Cursor(), r.log.End()
	audience := journal.Except(sender)
	grew := false
	for _, body := range messages {
		header := encodeHeader(len(body))
		grew = r.log.Append(audience, prefix, header[:], body) || grew
	}
	r.log.Publish()
	r.counts.messages += uint64(len(messages))
	r.counts.bytes += uint64(r.log.End() - from)
	var woken *[]*seat
	if len(r.idle) > 0 {
		woken = seatLists.Get().(*[]*seat)
		*woken = r.wakeLocked((*woken)[:0], audience, start)
	}
	startSweep := len(r.swept) > 0 && !r.sweeping
	if startSweep {
		r.sweeping = true
		r.sweeper.Add(1)
	}
	r.checksLeft = checksPerPublish
	r.checkLaterLocked()
	if grew {
		r.lookLocked(time.Now())
	}
	r.passTurnLocked()
	r.mu.Unlock()

	if startSweep {
		go r.sweepFunc()
	}
	if woken == nil {
		return
	}
	for i, m := range *woken {
		(*woken)[i] = nil
		go m.writerFunc()()
	}
	seatLists.Put(woken)
}

// seatLists holds *[]*seat, so that publishing needs no memory once warm.
var seatLists = sync.Pool{New: func() any { return new([]*seat) }}

// wakeLocked gives each member that is idle and belongs to the audience a writer
// that begins at start, and appends it to woken for the caller to start. r.mu must
// be held.
func (r *room) wakeLocked(woken []*seat, audience journal.Audience, start journal.Cursor) []*seat {
	for i := len(r.idle) - 1; i >= 0; i-- {
		if m := r.idle[i]; audience.Includes(m.ID) {
			m.cur = start
			m.pos.Store(start.Pos())
			r.moveLocked(m, seatWriting)
			woken = append(woken, m)
		}
	}
	return woken
}

// countSlow counts a member that took nothing for too long.
func (r *room) countSlow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.slow++
}

// stats fills in the room's part of st.
func (r *room) stats(st *Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Members = r.members.Len()
	st.Joined = r.lastID
	st.SlowConsumers = r.counts.slow
	st.Messages = r.counts.messages
	st.Bytes = r.counts.bytes
	st.Holds = r.counts.holds
	st.Held = r.held
	st.HoldTime = r.counts.held
	if r.held {
		st.HoldTime += time.Since(r.heldAt)
	}
	for _, m := range r.seatsLocked() {
		st.Backlog = max(st.Backlog, r.log.End()-r.posLocked(m))
	}
}

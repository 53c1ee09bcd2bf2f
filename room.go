package chatroom

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chatroom/internal/journal"
	"example.com/chatroom/internal/pace"
)

const (
	// maxChunk is the largest size of a log chunk in bytes, unless a message is longer.
	maxChunk = 64 << 10

	// chunksPerBacklog is how many chunks a backlog has at least.
	chunksPerBacklog = 32
)

// errNotMember reports a message of somebody who has already left.
var errNotMember = errors.New("chatroom: not a member")

// A room is an append-only log of encoded messages and the members that read it,
// each from a cursor of its own (a [seat]).
//
// Publishing appends a message once, whatever the number of members. It starts the
// sweep, which writes to the polled members, and a writer for each other member that
// had nothing to write. It waits while the room is held for a slow member.
type room struct {
	// Fixed after construction. Here and elsewhere in the package a field whose name
	// ends in Func holds a method. It is bound once, so that using it needs no memory.
	backlog    int64
	checkAfter time.Duration // how long after a publish to check for vanished peers; zero is never
	sweepFunc  func()
	pacedFunc  func(yield func(*pace.Member) bool)

	// watched tells those who write to report progress under the lock: the room is
	// held or somebody waits until all is written.
	watched atomic.Bool

	slow atomic.Uint64 // slow consumers so far

	// mu guards the fields below and is never held across I/O or a hook.
	mu      sync.Mutex
	state   roomState
	log     *journal.Log
	members list.List // of *seat, in the order of joining
	lastID  uint64
	counts  roomCounts

	// Who writes.
	polled   []*seat // the polled members at rest, which the sweep writes to
	unpolled []*seat // the other members at rest, which publishing starts writers for
	sweeping bool    // the sweep runs
	sweptTo  int64   // up to where the sweep's last round was to write
	departed []*seat // removed from polled while the sweep runs; its round may still hold them
	writers  int     // writers that run, also those of members that have left

	// Who waits.
	pace      *pace.Law
	lookTimer *time.Timer     // runs lookAgain; nil until it was needed
	held      bool            // publishing waits
	heldAt    time.Time       // since when
	queue     []chan struct{} // who waits to publish; each takes one token when it may be its turn
	flushes   int             // how many wait until members are written to

	// Who has vanished.
	checkTimer *time.Timer // runs checkPeers; nil until it was needed
	checkSet   bool        // it is running
	checksLeft int         // how many checks are due after what was published last

	// sweeper counts the goroutine that runs sweep: none or one. Add is called
	// under mu, and not once the room is closed or empty for good.
	sweeper sync.WaitGroup
}

type roomState uint8

const (
	roomOpen   roomState = iota // members join, members and the program publish
	roomEnding                  // nobody joins, only members publish, and nothing is held
	roomClosed                  // nothing is published
)

// roomCounts are a room's part of Stats.
type roomCounts struct {
	messages, bytes, holds uint64
	holdTime               time.Duration // without the current hold
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

// join lists m, which receives what is appended from here on.
func (r *room) join(m *seat) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state != roomOpen:
		return ErrServerClosed
	case m.state == seatLeft:
		return errNotMember // the connection has ended, and the session knows why
	}
	r.lastID++
	m.ID, m.JoinedAt = r.lastID, time.Now()
	m.elem = r.members.PushBack(m)
	m.cur = r.log.Cursor()
	r.moveLocked(m, seatAtRest)
	return nil
}

// leave takes m off the list. If m has not joined yet, it never does.
func (r *room) leave(m *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(m)
	r.lookIfHeldLocked() // it may have been waited for
}

// removeLocked is leave without looking at the pace. r.mu must be held.
func (r *room) removeLocked(m *seat) {
	if m.state == seatLeft {
		return
	}
	if m.elem != nil {
		r.members.Remove(m.elem)
		m.elem = nil
	}
	r.moveLocked(m, seatLeft)
	r.wakeWaitersLocked(m, r.log.End())
}

func (r *room) list() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Member, 0, r.members.Len())
	for _, m := range r.seatsLocked() {
		all = append(all, m.Member)
	}
	return all
}

// seatsLocked returns a copy of the list, in the order of joining. r.mu must be held.
func (r *room) seatsLocked() []*seat {
	all := make([]*seat, 0, r.members.Len())
	for e := r.members.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*seat))
	}
	return all
}

// endTo moves the room to a later state, unless it has passed it, and wakes those
// who wait to publish.
func (r *room) endTo(state roomState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = max(r.state, state)
	r.holdLocked(false)
	r.stopLookingLocked()
	for _, turn := range r.queue {
		signal(turn)
	}
}

// A doner says when to stop waiting: once Done is closed. Contexts and sessions are
// doners.
type doner interface{ Done() <-chan struct{} }

// publish appends m's messages, in order, for everyone but m, and keeps none of the
// slices. It waits while the room is held, even if the peer has hung up: what was
// read whole is passed on. It fails once the server has disconnected m. It reports
// whether it has waited.
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
		return waited, errNotMember // it was disconnected, and the session knows why
	}
	r.appendAndUnlock(m.ID, m.prefix, messages...)
	return waited, nil
}

// broadcast appends one message for everyone. It waits while the room is held, unless
// ctx ends.
func (r *room) broadcast(ctx context.Context, prefix, body []byte) error {
	r.mu.Lock()
	_, ok := r.enterLocked(ctx)
	if r.state != roomOpen || !ok {
		r.passTurnLocked()
		closed := r.state != roomOpen
		r.mu.Unlock()
		if closed {
			return ErrServerClosed
		}
		return ctx.Err()
	}
	r.appendAndUnlock(0, prefix, body)
	return nil
}

// enterLocked waits until caller may publish: the room is not held, and all who came
// before have published. When the room ends all may. It reports whether it has
// waited; ok is false if caller was done first. r.mu must be held, and is released
// while it waits.
func (r *room) enterLocked(caller doner) (waited, ok bool) {
	if r.state != roomOpen || !r.held && len(r.queue) == 0 {
		return false, true
	}
	turn := make(chan struct{}, 1)
	r.queue = append(r.queue, turn)
	for ok = true; ok && r.state == roomOpen && (r.held || r.queue[0] != turn); {
		r.mu.Unlock()
		select {
		case <-turn:
		case <-caller.Done():
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

// appendAndUnlock appends messages to the log, each behind prefix, for everyone but
// the sender. A sender of zero is the program. Nothing else appends. r.mu must be
// held; it is released before goroutines are started.
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
	if len(r.unpolled) > 0 {
		woken = seatLists.Get().(*[]*seat)
		*woken = r.wakeLocked((*woken)[:0], audience, start)
	}
	startSweep := len(r.polled) > 0 && !r.sweeping
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
		m.startWriter()
	}
	seatLists.Put(woken)
}

// seatLists holds *[]*seat, so that publishing needs no memory once warm.
var seatLists = sync.Pool{New: func() any { return new([]*seat) }}

// wakeLocked moves the unpolled members at rest that belong to the audience to
// seatWriting, with cursors at start, and appends them to woken. The caller starts
// their writers. r.mu must be held.
func (r *room) wakeLocked(woken []*seat, audience journal.Audience, start journal.Cursor) []*seat {
	for i := len(r.unpolled) - 1; i >= 0; i-- { // backwards, since moving one takes it from the list
		if m := r.unpolled[i]; audience.Includes(m.ID) {
			m.cur = start
			m.pos.Store(start.Pos())
			r.moveLocked(m, seatWriting)
			woken = append(woken, m)
		}
	}
	return woken
}

// stats fills in the room's part of st.
func (r *room) stats(st *Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Members = r.members.Len()
	st.Joined = r.lastID
	st.SlowConsumers = r.slow.Load()
	st.Messages = r.counts.messages
	st.Bytes = r.counts.bytes
	st.Holds = r.counts.holds
	st.Held = r.held
	st.HoldTime = r.counts.holdTime
	if r.held {
		st.HoldTime += time.Since(r.heldAt)
	}
	for _, m := range r.seatsLocked() {
		st.Backlog = max(st.Backlog, r.log.End()-r.posLocked(m))
	}
}

package chatroom

import (
	"container/list"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxChunk is the size of a log chunk, and so of a single write, in bytes,
	// unless a single message is longer.
	maxChunk = 64 << 10

	// chunksPerBacklog is how finely a small backlog is checked.
	chunksPerBacklog = 32

	// gatherBelow is the run, in bytes, that is worth a write of its own
	// although more follows behind a gap.
	gatherBelow = 8 << 10
)

// ErrSlowConsumer is the reason why a member left that did not keep up with the
// room: it was further behind than [WithBacklog] allows, or took nothing for as
// long as [WithWriteTimeout] allows.
var ErrSlowConsumer = errors.New("chatroom: slow consumer")

// errNotMember reports a message of somebody who has already left.
var errNotMember = errors.New("chatroom: not a member")

// A room is an append-only log of encoded messages and the members that read
// it, each from a cursor of its own. It does no I/O: a member's writeOwed does.
//
// Publishing appends once, whatever the number of members, and starts the
// writers of those members that had nothing to write.
type room struct {
	// Fixed after construction.
	backlog int64

	// watched tells writers to report their progress under the lock: the room
	// is held or somebody waits for a flush.
	watched atomic.Bool

	// mu guards the fields below and is never held across I/O or a hook.
	mu       sync.Mutex
	log      chunkLog
	members  list.List // of *member, in the order of joining
	idle     []*member // members without a writer, at the end of the log; see member.idleAt
	lastID   uint64
	state    roomState
	pace     pace
	flushers []*flusher
	counts   roomCounts
}

type roomState int

const (
	roomOpen   roomState = iota
	roomEnding           // members' messages are still published; nothing is held, nobody joins, nobody broadcasts
	roomClosed           // nothing is published
)

// roomCounts is what Stats tells of a room.
type roomCounts struct {
	messages, bytes, slow, held uint64
}

// A member is one connection's place in a room. All fields but those headed
// otherwise are guarded by room.mu.
type member struct {
	// Fixed before the join.
	Member                     // ID and JoinedAt are set by the join
	prefix    []byte           // the name as a frame
	writeOwed func()           // writes what is owed until next returns nothing; runs on a goroutine of its own
	evict     func(error) bool // ends the connection, and reports whether it was the first to; does not block
	gone      <-chan struct{}  // closed when the connection is ending

	// writer counts the goroutine that runs writeOwed: none or one. Add is called
	// under room.mu and only while the room lists the member.
	writer sync.WaitGroup

	// Owned by the writer while there is one.
	cur     cursor
	pending []byte // gathered and not yet written
	scratch *[largeBuffer]byte

	// pos is the position up to which all is written, for others to read while
	// there is a writer.
	pos atomic.Int64

	// gaps tells the writer that skips is not empty. It is set before the bytes
	// to be skipped are published.
	gaps atomic.Bool

	elem   *list.Element // nil before the join and after the leave
	idleAt int           // index in room.idle; -1 while there is a writer, and when deaf
	deaf   bool          // its writer has failed: it receives nothing more, and counts as caught up
	skips  []span        // the member's own messages, ahead of the cursor

	// The member's part in room.pace.
	far, late, stuck bool
	farSince         time.Time
	farPos           int64     // pos at farSince
	lateUntil        time.Time // until when it is waited for; zero before it was late
	seenPos          int64     // pos when the tie began
}

// A span is the part of the log from one position up to another.
type span struct{ from, to int64 }

func newRoom(backlog int64) *room {
	r := &room{backlog: backlog}
	r.log.chunkSize = int(min(max(backlog/chunksPerBacklog, headerLen), maxChunk))
	return r
}

// join lists m, from the end of the log on.
func (r *room) join(m *member) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state != roomOpen:
		return ErrServerClosed
	case m.isGone():
		return errNotMember // who ended the connection has told why, and its leave has passed
	}
	r.lastID++
	m.ID, m.JoinedAt = r.lastID, time.Now()
	m.elem = r.members.PushBack(m)
	r.setIdleLocked(m)
	r.repaceLocked() // those far behind may not be most of the room any more
	return nil
}

// leave takes m off the list, if it is still there. Afterwards no writer is
// started for it.
func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(m)
}

// removeLocked takes m off the list and out of all accounts. r.mu must be held.
func (r *room) removeLocked(m *member) {
	if m.elem == nil {
		return
	}
	r.members.Remove(m.elem)
	m.elem = nil
	if m.idleAt >= 0 {
		r.unsetIdleLocked(m)
	}
	r.unmarkLocked(m)
	r.progressLocked(m, r.log.end)
}

// list returns a snapshot of the members in the order of joining.
func (r *room) list() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Member, 0, r.members.Len())
	for e := r.members.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*member).Member)
	}
	return all
}

// end stops joins and broadcasts and lets held publishers go on.
func (r *room) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = max(r.state, roomEnding)
	r.releaseLocked()
}

// close stops all publishing.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = roomClosed
	r.releaseLocked()
}

// publish appends m's messages, in order, for everyone but m. It blocks while
// the room is held, but no longer than m can be written to: what was read whole
// is passed on even then, unless this end has disconnected m. It keeps none of
// the slices.
func (r *room) publish(m *member, messages [][]byte) error {
	r.mu.Lock()
	for r.pace.held && !m.isGone() {
		gate := r.pace.gate
		r.mu.Unlock()
		select {
		case <-gate:
		case <-m.gone:
		}
		r.mu.Lock()
	}
	switch {
	case r.state == roomClosed:
		r.mu.Unlock()
		return ErrServerClosed
	case m.elem == nil:
		r.mu.Unlock()
		return errNotMember // whoever took it off the list has told the session why
	}
	r.appendAndUnlock(m, m.prefix, messages...)
	return nil
}

func (m *member) isGone() bool {
	select {
	case <-m.gone:
		return true
	default:
		return false
	}
}

// broadcast appends one message for everyone. It is never held.
func (r *room) broadcast(prefix, body []byte) error {
	r.mu.Lock()
	if r.state != roomOpen {
		r.mu.Unlock()
		return ErrServerClosed
	}
	r.appendAndUnlock(nil, prefix, body)
	return nil
}

// appendAndUnlock is the log's only door. It appends messages, each behind
// prefix, as one unit; sender, if there is one, skips them. r.mu must be held;
// it is released before writers are started.
func (r *room) appendAndUnlock(sender *member, prefix []byte, messages ...[]byte) {
	start, from := r.log.cursor(), r.log.end
	if sender != nil && sender.idleAt < 0 && !sender.deaf {
		to := from
		for _, body := range messages {
			to += int64(len(prefix) + headerLen + len(body))
		}
		sender.skipLocked(span{from, to}) // before its writer can see the bytes
	}
	grew := false
	for _, body := range messages {
		header := encodeHeader(len(body))
		grew = r.log.append(prefix, header[:], body) || grew
	}
	r.counts.messages += uint64(len(messages))
	r.counts.bytes += uint64(r.log.end - from)
	r.log.publish()
	woken := r.wakeLocked(sender, start)
	if grew {
		r.checkPaceLocked(from, sender != nil)
	}
	r.mu.Unlock()

	for i, m := range *woken {
		(*woken)[i] = nil
		go m.writeOwed()
	}
	*woken = (*woken)[:0]
	wakeLists.Put(woken)
}

// wakeLists holds *[]*member, so that waking needs no memory once warm.
var wakeLists = sync.Pool{New: func() any { return new([]*member) }}

// wakeLocked gives each idle member but sender a writer that begins at start,
// and returns them for the caller to start. r.mu must be held.
func (r *room) wakeLocked(sender *member, start cursor) *[]*member {
	woken := wakeLists.Get().(*[]*member)
	for _, m := range r.idle {
		if m == sender {
			continue
		}
		m.idleAt = -1
		m.cur = start
		m.pos.Store(start.pos())
		m.writer.Add(1)
		*woken = append(*woken, m)
	}
	keep := sender != nil && sender.idleAt >= 0
	clear(r.idle)
	r.idle = r.idle[:0]
	if keep {
		sender.idleAt = 0
		r.idle = append(r.idle, sender)
	}
	return woken
}

// skipLocked leaves s, at the end of the log, out of what m receives. room.mu
// must be held.
func (m *member) skipLocked(s span) {
	if n := len(m.skips); n > 0 && m.skips[n-1].to == s.from {
		m.skips[n-1].to = s.to
		return
	}
	m.skips = append(m.skips, s)
	m.gaps.Store(true)
}

// next returns what to write next for m: the longest run of whole messages there
// is, up to a chunk. When there is nothing it makes m idle and returns nothing,
// and the writer that called it must end. Each run is accounted for with wrote
// before next is called again.
func (r *room) next(m *member) []byte {
	if len(m.pending) > 0 {
		return m.pending
	}
	for {
		run, more := r.run(m)
		if len(run) > 0 && (len(run) >= gatherBelow || !more) {
			return run
		}
		if more {
			return r.gather(m)
		}
		if r.tryIdle(m) {
			return nil
		}
	}
}

// run returns the bytes from m's cursor to the end of the chunk or to the next
// message of m's own, and whether more may follow behind that.
func (r *room) run(m *member) (run []byte, more bool) {
	// What is published together with a message of m's own shows in gaps.
	run, more = m.cur.peek()
	if m.gaps.Load() {
		return r.runToGap(m)
	}
	return run, more
}

func (r *room) runToGap(m *member) (run []byte, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := 0
	for passed < len(m.skips) && m.skips[passed].from == m.cur.pos() {
		m.cur.advance(m.skips[passed].to - m.skips[passed].from)
		passed++
	}
	m.skips = m.skips[passed:] // not moved: a stalled member may have very many
	run, more = m.cur.peek()
	if len(m.skips) == 0 {
		m.skips = nil
		m.gaps.Store(false)
		return run, more
	}
	if gap := m.skips[0].from - m.cur.pos(); gap < int64(len(run)) {
		run = run[:gap]
	}
	return run, true
}

// gather copies several runs into one, so that gaps cost no system calls. What
// does not fit whole is left for the next.
func (r *room) gather(m *member) []byte {
	if m.scratch == nil {
		m.scratch = largeBuffers.Get().(*[largeBuffer]byte)
	}
	m.pending = m.scratch[:0]
	for more := true; more; {
		var run []byte
		run, more = r.run(m)
		if len(run) > len(m.scratch)-len(m.pending) {
			break
		}
		m.pending = append(m.pending, run...)
		m.cur.advance(int64(len(run)))
	}
	return m.pending
}

// wrote accounts for n bytes of what next returned.
func (r *room) wrote(m *member, n int) {
	if len(m.pending) > 0 {
		if m.pending = m.pending[n:]; len(m.pending) > 0 {
			return
		}
	} else {
		m.cur.advance(int64(n))
	}
	pos := m.cur.pos()
	m.pos.Store(pos)
	if r.watched.Load() {
		r.mu.Lock()
		r.progressLocked(m, pos)
		r.mu.Unlock()
	}
}

// tryIdle makes m idle if it has nothing to write, and says whether its writer
// must end.
func (r *room) tryIdle(m *member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.elem != nil {
		if len(m.skips) > 0 || m.cur.pos() != r.log.end {
			return false
		}
		r.setIdleLocked(m)
		r.progressLocked(m, r.log.end)
	}
	m.retire()
	return true
}

// deafen ends m's writer, which has failed. m may still publish until it leaves.
func (r *room) deafen(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.deaf = true
	m.skips = nil
	m.gaps.Store(false)
	m.retire()
	r.unmarkLocked(m)
	r.progressLocked(m, r.log.end)
}

// retire drops what m's writer held, because the writer ends.
func (m *member) retire() {
	m.cur, m.pending = cursor{}, nil
	if m.scratch != nil {
		largeBuffers.Put(m.scratch)
		m.scratch = nil
	}
}

func (r *room) setIdleLocked(m *member) {
	m.idleAt = len(r.idle)
	r.idle = append(r.idle, m)
}

func (r *room) unsetIdleLocked(m *member) {
	last := len(r.idle) - 1
	r.idle[m.idleAt] = r.idle[last]
	r.idle[m.idleAt].idleAt = m.idleAt
	r.idle[last] = nil
	r.idle = r.idle[:last]
	m.idleAt = -1
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
	st.Holds = r.counts.held
	st.Held = r.pace.held
	for e := r.members.Front(); e != nil; e = e.Next() {
		st.Backlog = max(st.Backlog, r.log.end-r.posLocked(e.Value.(*member)))
	}
}

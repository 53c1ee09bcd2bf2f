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
)

// ErrSlowConsumer is the reason why a member left that did not keep up with the
// room: it was further behind than [WithBacklog] allows, or took nothing for as
// long as [WithWriteTimeout] allows.
var ErrSlowConsumer = errors.New("chatroom: slow consumer")

// errNotMember reports a message of somebody who has already left.
var errNotMember = errors.New("chatroom: not a member")

// A room is an append-only log of encoded messages and the members that read
// it, each from a cursor of its own. It does no I/O: a member's outlet does.
//
// Publishing appends once, whatever the number of members, and sees to it that
// they are written to: it starts the sweep, which serves those members that can
// be written to without waiting, and a writer for each other one that had
// nothing to write.
type room struct {
	// Fixed after construction.
	backlog   int64
	sweepFunc func() // sweep, bound once, so that starting it needs no memory

	// watched tells writers to report their progress under the lock: the room
	// is held or somebody waits for a flush.
	watched atomic.Bool

	// mu guards the fields below and is never held across I/O or a hook.
	mu       sync.Mutex
	log      chunkLog
	members  list.List // of *member, in the order of joining
	idle     []*member // who waits at the end of the log, without a writer; see member.at
	swept    []*member // whom the sweep writes to; see member.at
	sweeping bool      // the sweep runs
	departed []*member // who left swept while it ran, and may be in its round
	sweptTo  int64     // up to where the sweep's last round was to write
	lastID   uint64
	state    roomState
	pace     pace
	waiting  int // flushes
	counts   roomCounts

	// sweeper counts the goroutine that runs sweep: none or one. Add is called
	// under mu, and not once the room is closed or empty for good.
	sweeper sync.WaitGroup
}

type roomState int

const (
	roomOpen   roomState = iota
	roomEnding           // members' messages are still published; nothing is held, nobody joins, nobody broadcasts
	roomClosed           // nothing is published
)

// roomCounts is what Stats tells of a room.
type roomCounts struct {
	messages, bytes, slow, holds uint64
}

func newRoom(backlog int64) *room {
	r := &room{backlog: backlog}
	r.sweepFunc = r.sweep
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
	case m.out.isGone():
		return errNotMember // who ended the connection has told why, and its leave has passed
	}
	r.lastID++
	m.ID, m.JoinedAt = r.lastID, time.Now()
	m.elem = r.members.PushBack(m)
	m.cur = r.log.cursor()
	r.restLocked(m)
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
	if m.at >= 0 {
		r.unrestLocked(m)
		if m.sweeps && r.sweeping {
			r.departed = append(r.departed, m)
		} else {
			m.retire() // or its cursor would keep the log for as long as a leave hook runs
		}
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
// the room is held, also when m has gone meanwhile, for what was read whole is
// passed on even then; but not when this end has disconnected m. It keeps none
// of the slices.
func (r *room) publish(m *member, messages [][]byte) error {
	r.mu.Lock()
	for r.pace.held && !m.out.isGone() {
		gate := r.pace.gate
		r.mu.Unlock()
		m.waited = true
		select {
		case <-gate:
		case <-m.out.gone():
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
	if sender != nil && !sender.idle() && !sender.deaf {
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
	var woken *[]*member
	if len(r.idle) > 0 {
		woken = memberLists.Get().(*[]*member)
		r.wakeLocked(woken, sender, start)
	}
	startSweep := len(r.swept) > 0 && !r.sweeping
	if startSweep {
		r.sweeping = true
		r.sweeper.Add(1)
	}
	if grew {
		r.checkPaceLocked(from, sender != nil)
	}
	r.mu.Unlock()

	if startSweep {
		go r.sweepFunc()
	}
	if woken == nil {
		return
	}
	for i, m := range *woken {
		(*woken)[i] = nil
		go m.writeFunc()()
	}
	memberLists.Put(woken)
}

// memberLists holds *[]*member, so that publishing needs no memory once warm.
var memberLists = sync.Pool{New: func() any { return new([]*member) }}

// wakeLocked gives each idle member but sender a writer that begins at start,
// and puts them into woken for the caller to start. r.mu must be held.
func (r *room) wakeLocked(woken *[]*member, sender *member, start cursor) {
	*woken = (*woken)[:0]
	for _, m := range r.idle {
		if m == sender {
			continue
		}
		m.at = -1
		m.cur = start
		m.pos.Store(start.pos())
		m.writer.Add(1)
		*woken = append(*woken, m)
	}
	keep := sender != nil && sender.idle()
	clear(r.idle)
	r.idle = r.idle[:0]
	if keep {
		sender.at = 0
		r.idle = append(r.idle, sender)
	}
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
	st.Held = r.pace.held
	for e := r.members.Front(); e != nil; e = e.Next() {
		st.Backlog = max(st.Backlog, r.log.end-r.posLocked(e.Value.(*member)))
	}
}

package chatroom

import (
	"container/list"
	"errors"
	"fmt"
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

var (
	// ErrNameTaken is why a connection is not let in whose name another member of the
	// room has, with [WithUniqueNames]. The error that wraps it quotes the name.
	ErrNameTaken = errors.New("chatroom: name taken")

	// ErrRoomFull is why a connection is not let into a room that has as many members
	// as [WithMaxMembers] allows.
	ErrRoomFull = errors.New("chatroom: room full")

	// errNotMember reports a message of somebody who has already left.
	errNotMember = errors.New("chatroom: not a member")

	// errRoomGone reports that another room of the same name is to be looked for.
	errRoomGone = errors.New("chatroom: room gone")
)

// A room is an append-only log of encoded messages and the members that read it,
// each from a cursor of its own (a [seat]).
//
// Publishing appends a message once, whatever the number of members. It starts the
// sweep, which writes to the polled members, and a writer for each other member that
// had nothing to write. It waits while the room is held for a slow member.
type room struct {
	// Fixed after construction. Here and elsewhere in the package a field whose name
	// ends in Func holds a method. It is bound once, so that using it needs no memory.
	name      string
	cfg       *serverConfig
	sweepers  *sync.WaitGroup // counts the goroutines that run sweep, of all rooms
	total     *atomic.Uint64  // bytes written to members of all rooms
	sweepFunc func()
	pacedFunc func(yield func(*pace.Member) bool)

	// watched tells those who write to report progress under the lock: the room is
	// held or somebody waits until all is written.
	watched atomic.Bool

	written atomic.Uint64 // bytes, to members

	// Guarded by Server.mu: whether the room is empty and kept for its history.
	emptyElem  *list.Element // its place on the list of such rooms
	emptySince time.Time
	emptyBytes int64 // of its history, if it is on that list

	// mu guards the fields below and is never held across I/O or a hook.
	mu      sync.Mutex
	state   roomState
	log     *journal.Log
	members list.List           // of *seat, in the order of joining
	names   map[string]struct{} // of the members, if they are to be unique
	ids     map[uint64]struct{} // of the members, if the server has an order
	leaving []*seat             // those that were kicked and are written to
	history history
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
}

type roomState uint8

const (
	roomOpen   roomState = iota // members join, members and the program publish
	roomEnding                  // nobody joins, only members and the order publish, and nothing is held
	roomSealed                  // nothing is published
	roomClosed                  // its members are disconnected
	roomGone                    // it was empty; another of its name may be there
)

func newRoom(name string, cfg *serverConfig, sweepers *sync.WaitGroup, total *atomic.Uint64) *room {
	r := &room{
		name:     name,
		cfg:      cfg,
		sweepers: sweepers,
		total:    total,
		log:      journal.New(int(min(max(cfg.backlog/chunksPerBacklog, headerLen), maxChunk))),
		pace:     pace.New(cfg.backlog),
	}
	if cfg.uniqueNames {
		r.names = make(map[string]struct{})
	}
	if cfg.order != nil {
		r.ids = make(map[uint64]struct{})
	}
	r.sweepFunc, r.pacedFunc = r.sweep, r.paced
	return r
}

// join lists m as the member of that id. It receives the history, and what is appended
// from here on.
func (r *room) join(m *seat, id uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, taken := r.names[m.Name]
	switch {
	case r.state != roomOpen:
		return ErrServerClosed
	case m.state == seatLeft:
		return errNotMember // the connection has ended, and the session knows why
	case r.cfg.maxMembers > 0 && r.members.Len() >= r.cfg.maxMembers:
		return ErrRoomFull
	case taken:
		return fmt.Errorf("%w: %q", ErrNameTaken, m.Name)
	}
	if r.names != nil {
		r.names[m.Name] = struct{}{}
	}
	r.counts.joins++
	r.counts.deliveries += uint64(len(r.history))
	m.ID, m.JoinedAt = id, time.Now()
	if r.ids != nil {
		r.ids[id] = struct{}{}
	}
	m.elem = r.members.PushBack(m)
	m.cur = r.history.start(r.log)
	m.pos.Store(m.cur.Pos())
	if m.cur.Pos() < r.log.End() {
		r.moveLocked(m, seatWriting)
		m.startWriter()
	} else {
		r.moveLocked(m, seatAtRest)
	}
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
	r.unlistLocked(m)
	m.until.Store(min(m.until.Load(), r.log.End())) // its writer may go on for a moment
	r.leaving = slices.DeleteFunc(r.leaving, func(other *seat) bool { return other == m })
	r.moveLocked(m, seatLeft)
	r.wakeWaitersLocked(m, r.log.End())
}

// unlistLocked takes m off the list, if it is there. r.mu must be held.
func (r *room) unlistLocked(m *seat) {
	if m.elem == nil {
		return
	}
	r.members.Remove(m.elem)
	m.elem = nil
	delete(r.names, m.Name)
	delete(r.ids, m.ID)
	m.ref.session.Store(nil)
}

// kick takes m off the list, and leaves it in the room until it has been written what
// is owed to it now. If m has left, it does nothing.
func (r *room) kick(m *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.elem == nil {
		return
	}
	r.unlistLocked(m)
	m.until.Store(r.log.End())
	r.leaving = append(r.leaving, m)
	r.lookIfHeldLocked() // it may have been waited for
}

// list appends the members to all.
func (r *room) list(all []Member) []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all = slices.Grow(all, r.members.Len())
	for _, m := range r.seatsLocked() {
		all = append(all, m.Member)
	}
	return all
}

// isIdle reports whether nobody is in the room, or being written to.
func (r *room) isIdle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members.Len()+len(r.leaving) == 0
}

// historyBytes returns how many bytes are kept for the history.
func (r *room) historyBytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.log.End()-r.history.pos(), 0)
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
	if r.state >= roomClosed && r.checkTimer != nil {
		r.checkTimer.Stop()
	}
	r.holdLocked(false)
	r.stopLookingLocked()
	for _, turn := range r.queue {
		signal(turn)
	}
}

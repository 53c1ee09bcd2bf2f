package chatroom

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// emptyTime is how long an empty room is kept for its history.
	emptyTime = time.Minute

	// maxEmpty is how many empty rooms are kept at most, and maxEmptyBytes how many bytes
	// of history in all of them. The latest is kept whatever it has.
	maxEmpty      = 1000
	maxEmptyBytes = 64 << 20
)

// Room returns a handle on the room of that name, whether or not the room exists.
func (s *Server) Room(name string) Room { return Room{s, name} }

// Rooms returns the rooms that exist, sorted by name. The room "" always exists.
func (s *Server) Rooms() []Room {
	var rooms []Room
	for _, r := range s.liveRooms() {
		rooms = append(rooms, Room{s, r.name})
	}
	return rooms
}

// liveRooms returns the rooms that exist, sorted by name.
func (s *Server) liveRooms() []*room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rooms) == 1 {
		return s.only[:] // without an allocation
	}
	return slices.SortedFunc(maps.Values(s.rooms), func(a, b *room) int { return strings.Compare(a.name, b.name) })
}

// Broadcast is [Room.Broadcast] to every room, in the order of their names. Rooms that
// are held come last, so that they do not delay the others. When ctx ends first, the
// rooms that are still held do not get body, and Broadcast returns ctx.Err().
func (s *Server) Broadcast(ctx context.Context, from string, body []byte, except ...Member) error {
	if err := s.checkMessage(ctx, from, body); err != nil {
		return err
	}
	var short [128]byte // so that a short name needs no allocation
	prefix := AppendFrame(short[:0], []byte(from))
	if s.cfg.order != nil {
		return s.submitBroadcast(ctx, Batch{All: true}, prefix, body, except)
	}
	rooms := s.liveRooms()
	if len(rooms) == 1 {
		return rooms[0].broadcast(ctx, prefix, body, except)
	}
	return s.inRooms(ctx, rooms, roomOpen, func(r *room) { r.appendAndUnlock(0, except, prefix, body) })
}

// inRooms calls publish for each of rooms with room.mu held, which publish releases. Rooms
// that are held come last. When ctx ends first, it returns ctx.Err(). A room that has
// passed the state last makes it return ErrServerClosed.
func (s *Server) inRooms(ctx context.Context, rooms []*room, last roomState, publish func(r *room)) error {
	var held []*room
	for _, r := range rooms {
		switch entered, err := r.tryEnter(last); {
		case err != nil && err != errRoomGone:
			return err
		case entered:
			publish(r)
			s.measureEmpty(r)
		case err == nil:
			held = append(held, r)
		}
	}
	for _, r := range held {
		switch err := r.enter(ctx, last); {
		case err == nil:
			publish(r)
			s.measureEmpty(r)
		case err != errRoomGone:
			return err
		}
	}
	return nil
}

// checkMessage returns why the program cannot publish this message, or nil.
func (s *Server) checkMessage(ctx context.Context, from string, body []byte) error {
	if limit := s.cfg.maxMessage; max(len(from), len(body)) > limit {
		return fmt.Errorf("%w: broadcast of %d bytes, the limit is %d", ErrFrameTooLarge, max(len(from), len(body)), limit)
	}
	return ctx.Err()
}

// Members returns the current members of all rooms, in the order in which they joined.
// The slice belongs to the caller.
func (s *Server) Members() []Member {
	all := []Member{}
	for _, r := range s.liveRooms() {
		all = r.list(all)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Disconnect disconnects all members, and does not wait. Others may join meanwhile and
// after it. When Disconnect returns, no room lists who was a member before. They are still
// written what they were owed until then, for up to 5 s. The reason, or [ErrKicked] if it
// is nil, is what leave hooks get.
func (s *Server) Disconnect(reason error) {
	if reason == nil {
		reason = ErrKicked
	}
	for _, m := range s.Members() {
		if sess := m.session(); sess != nil {
			sess.kick(reason)
		}
	}
}

// Flush blocks until everything published before the call has been written to the
// connections of all members that have not left. With [WithOrder] it first waits until
// the order has settled. When ctx ends first, it returns ctx.Err().
func (s *Server) Flush(ctx context.Context) error {
	if s.cfg.order != nil {
		if err := s.cfg.order.Settle(ctx); err != nil {
			return err
		}
	}
	for _, r := range s.liveRooms() {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// join lists sess in its room. It makes the room if there is none.
func (s *Server) join(sess *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return ErrServerClosed
	}
	r := s.roomLocked(sess.ref.room)
	if !sess.setRoom(r) {
		s.forgetIfIdleLocked(r)
		return errNotMember // the connection has ended, and the session knows why
	}
	if err := r.join(&sess.seat, s.lastID+1); err != nil {
		s.forgetIfIdleLocked(r)
		return err
	}
	s.lastID++
	s.keepLocked(r)
	return nil
}

// findRoom returns the room of that name, or nil if it does not exist. If write is true
// and the server keeps a history, findRoom makes the room, so that whoever joins later
// finds what is written to it.
func (s *Server) findRoom(name string, write bool) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil && write && s.cfg.history > 0 && !s.closing {
		r = s.roomLocked(name)
		s.forgetIfIdleLocked(r) // in a minute
	}
	return r
}

// roomLocked returns the room of that name. It makes the room if there is none. s.mu
// must be held.
func (s *Server) roomLocked(name string) *room {
	r := s.rooms[name]
	if r == nil {
		r = newRoom(name, &s.cfg, &s.sweepers, &s.written)
		s.rooms[name] = r
	}
	return r
}

// forgetIfIdleLocked forgets r if nobody is in it. If the server keeps a history, it
// first keeps r for emptyTime. s.mu must be held.
func (s *Server) forgetIfIdleLocked(r *room) {
	switch {
	case r.name == "" || s.rooms[r.name] != r || r.emptyElem != nil || !r.isIdle():
	case s.cfg.history > 0 && !s.closing:
		r.emptySince = time.Now()
		r.emptyElem = s.empty.PushBack(r)
		s.measureEmptyLocked(r)
		s.setEmptyTimerLocked()
	default:
		s.forgetLocked(r)
	}
}

// measureEmpty keeps empty rooms within their bounds after something was published in r.
func (s *Server) measureEmpty(r *room) {
	if s.cfg.history == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.emptyElem != nil {
		s.measureEmptyLocked(r)
	}
}

// measureEmptyLocked counts what r, which is empty, keeps, and forgets the rooms that
// have been empty for longest if there are too many, or they keep too much. s.mu must be
// held.
func (s *Server) measureEmptyLocked(r *room) {
	s.emptyBytes -= r.emptyBytes
	r.emptyBytes = r.historyBytes()
	s.emptyBytes += r.emptyBytes
	for s.empty.Len() > maxEmpty || s.empty.Len() > 1 && s.emptyBytes > maxEmptyBytes {
		s.forgetLocked(s.empty.Front().Value.(*room))
	}
}

// forgetLocked forgets r, which must be empty. s.mu must be held.
func (s *Server) forgetLocked(r *room) {
	s.keepLocked(r)
	delete(s.rooms, r.name)
	r.endTo(roomGone)
	r.addStats(&s.past)
}

// keepLocked takes r off the list of empty rooms. s.mu must be held.
func (s *Server) keepLocked(r *room) {
	if r.emptyElem != nil {
		s.empty.Remove(r.emptyElem)
		r.emptyElem = nil
		s.emptyBytes -= r.emptyBytes
		r.emptyBytes = 0
	}
}

// setEmptyTimerLocked sets emptyTimer to the moment at which the next empty room is to
// be forgotten. s.mu must be held.
func (s *Server) setEmptyTimerLocked() {
	if s.empty.Len() == 0 {
		return
	}
	after := time.Until(s.empty.Front().Value.(*room).emptySince.Add(emptyTime))
	if s.emptyTimer == nil {
		s.emptyTimer = time.AfterFunc(after, s.forgetEmpty)
	} else {
		s.emptyTimer.Reset(after)
	}
}

// forgetEmpty forgets the rooms that have been empty for emptyTime. It runs on a
// goroutine of emptyTimer's.
func (s *Server) forgetEmpty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.empty.Front(); e != nil; e = s.empty.Front() {
		r := e.Value.(*room)
		if time.Since(r.emptySince) < emptyTime {
			break
		}
		s.forgetLocked(r)
	}
	s.setEmptyTimerLocked()
}

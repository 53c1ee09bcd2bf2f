package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/chatroom"
)

// A say is a message of the program's: to one room, to all rooms, or to one member.
type say struct {
	// Fixed once it has begun.
	seq    int // among all says
	size   int
	room   *room     // nil for all of them
	to     *client   // whom alone it is for; nil for everyone
	except []*client // whom it is not for
	limit  time.Duration
	at     time.Time
	began  int   // on simulation.clock
	late   bool  // the server had ended, or the member had left, before it began
	must   []hit // where it has to be published, unless it fails

	// Guarded by simulation.mu.
	hits  []hit // where it was published
	got   bool  // the one whom it is for has received it
	ended int   // when it returned, on simulation.clock; zero if it has not
	err   error
	took  time.Duration
}

// A hit is a room in one of its lives.
type hit struct {
	room *room
	life int
}

func (b *say) String() string {
	switch {
	case b.to != nil:
		return fmt.Sprintf("private text %d, of %d bytes, to %v", b.seq, b.size, b.to)
	case b.room != nil:
		return fmt.Sprintf("broadcast %d, of %d bytes, to room %q", b.seq, b.size, b.room.name)
	}
	return fmt.Sprintf("broadcast %d, of %d bytes,", b.seq, b.size)
}

// say has the program say what b describes. It waits until that is published, for
// b.limit at most. Hooks call it too.
func (s *simulation) say(b *say) {
	s.mu.Lock()
	s.clock++
	b.seq, b.began, b.at = len(s.says), s.clock, time.Now()
	b.late = s.ended || b.to != nil && (b.to.left > 0 || b.to.goneAt > 0 || b.to.isKicked())
	unwatched := s.aimLocked(b)
	for _, rm := range unwatched {
		rm.unseen = append(rm.unseen, b) // a room that is empty is not held, so it gets b immediately
	}
	body := s.program.appendBody(nil, b.seq, b.size)
	s.says = append(s.says, b)
	var except []chatroom.Member
	for _, c := range b.except {
		except = append(except, c.member)
	}
	var to chatroom.Member
	if b.to != nil {
		to = b.to.member
		b.to.told = append(b.to.told, b)
	}
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), b.limit)
	defer cancel()
	var err error
	switch name := s.program.name; {
	case b.to != nil:
		err = to.Send(ctx, name, body)
	case b.room != nil:
		err = s.server.Room(b.room.name).Broadcast(ctx, name, body, except...)
	default:
		err = s.server.Broadcast(ctx, name, body, except...)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	b.ended, b.err, b.took = s.clock, err, time.Since(b.at)
	switch {
	case b.to != nil && err == nil:
		b.to.room.privates++
		b.to.room.privateBytes += len(s.program.appendUnit(nil, b.seq, b.size))
	case errors.Is(err, chatroom.ErrServerClosed):
		s.blurred = s.blurred || len(unwatched) > 0
	}
}

// aimLocked notes where b has to be published. It returns the rooms among them that
// nobody watches. s.mu must be held.
func (s *simulation) aimLocked(b *say) (unwatched []*room) {
	if b.to != nil {
		return nil
	}
	for _, rm := range s.rooms {
		if b.room != nil && b.room != rm || b.limit == 0 {
			continue
		}
		there := s.presence(rm)
		if there == absent && b.room == rm && s.cfg.history > 0 && !s.ended {
			s.endLife(rm) // which nobody may have noticed yet
			rm.emptyFrom, rm.emptyTo = b.at, b.at
			there = present
		}
		switch {
		case there == present && rm.isWatched():
			b.must = append(b.must, hit{rm, rm.life})
		case there == present:
			unwatched = append(unwatched, rm)
		case there == unsure && !rm.emptyFrom.IsZero():
			if b.room == rm {
				rm.emptyTo = b.at // if the room has gone, this makes it anew
			}
			rm.lost = true
		}
	}
	return unwatched
}

// checkSays compares what the program was told of its messages with what was
// published.
func (s *simulation) checkSays() {
	for _, b := range s.says[s.judged:] {
		if s.failed != nil {
			return
		}
		s.checkSay(b)
	}
	for s.judged < len(s.says) && s.says[s.judged].ended > 0 {
		s.judged++
	}
}

func (s *simulation) checkSay(b *say) {
	overdue := b.err != nil && b.took == b.limit && errors.Is(b.err, context.DeadlineExceeded)
	gone := b.to != nil && errors.Is(b.err, chatroom.ErrMemberGone)
	switch {
	case b.ended == 0 && (s.ending || time.Since(b.at) >= b.limit || !s.isHeld(b)):
		s.fail(b.String()+" to have returned", "nothing after %v; published: %v", time.Since(b.at), len(b.hits) > 0)
	case b.ended == 0:
	case b.err == nil && b.late:
		s.fail(b.String()+" to fail, since the server had ended or the member had left", "no error")
	case gone && b.to.listing() == listed:
		s.fail(b.String()+" to reach a member that has not left", "%v", b.err)
	case b.err != nil && (b.got || len(b.hits) > 0 && (b.room != nil || !overdue && !s.ending)):
		s.fail(b.String()+" not to be published, since it has failed", "it, and %v", b.err)
	case b.err != nil && !overdue && !gone && (!s.ending || !errors.Is(b.err, chatroom.ErrServerClosed)):
		s.fail(b.String()+" to be published, or to fail for a reason", "%v after %v, of %v", b.err, b.took, b.limit)
	case b.err == nil && !s.abrupt():
		for _, where := range b.must {
			if where.life == where.room.life && !where.room.lost && !slices.Contains(b.hits, where) {
				s.fail(b.String()+" to be published in room "+fmt.Sprintf("%q", where.room.name), "nothing")
			}
		}
	}
}

// isHeld reports whether a room is held in which b is to be published.
func (s *simulation) isHeld(b *say) bool {
	switch {
	case b.to != nil:
		return s.live(b.to.room).Stats().Held
	case b.room != nil:
		return s.live(b.room).Stats().Held
	}
	return s.server.Stats().Held
}

package simulation

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/chatroom"
)

// kickLimit is how long a member that was kicked may take for what it is owed.
const kickLimit = 5 * time.Second

// A kick is one call of Member.Kick. simulation.mu guards its fields.
type kick struct {
	reason   error // nil for none
	at       time.Time
	returned bool

	// The member is owed the room's log at least up to owed, and nothing from most on.
	owed, most int
}

// kick throws c out, or does nothing if it has left. The program and hooks call it.
func (s *simulation) kick(c *client) {
	s.mu.Lock()
	k := &kick{at: time.Now(), owed: len(c.room.log), most: math.MaxInt}
	if s.kicks++; s.kicks%4 > 0 {
		k.reason = fmt.Errorf("kick %d", s.kicks)
	}
	c.kicks = append(c.kicks, k)
	m := c.member
	s.mu.Unlock()
	m.Kick(k.reason)
	listed := slices.Contains(m.Room().Members(), m) || slices.Contains(s.server.Members(), m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if listed {
		s.strange = fmt.Sprintf("%v on the list after it was kicked", c)
	}
	k.returned, k.most = true, s.mostPublished(c.room)
}

// isKicked reports whether the room must not list c any more, since Kick has
// returned. simulation.mu must be held.
func (c *client) isKicked() bool {
	return slices.ContainsFunc(c.kicks, func(k *kick) bool { return k.returned })
}

// owed returns up to where in the room's log c is owed what is there, and from where
// on it receives nothing. simulation.mu must be held.
func (c *client) owed() (owed, most int) {
	owed, most = len(c.room.log), math.MaxInt
	if c.goneAt > 0 {
		most = c.goneTo
	}
	for _, k := range c.kicks {
		owed, most = min(owed, k.owed), min(most, k.most)
	}
	return owed, most
}

// isKickReason reports whether c may have left with reason because it was kicked.
func (c *client) isKickReason(reason error) bool {
	return errors.Is(reason, chatroom.ErrKicked) && slices.ContainsFunc(c.kicks, func(k *kick) bool {
		return k.reason == nil || errors.Is(reason, k.reason)
	})
}

// checkKicked checks that c, which was kicked, is not published any more, and goes in
// time.
func (s *simulation) checkKicked(c *client) {
	if s.failed != nil || c.dead || !c.isKicked() {
		return
	}
	if c.mute < 0 {
		c.mute = c.published // all of it is known, since nothing moves
	}
	if state := c.link.look(); !state.closing && time.Since(c.kicks[0].at) > kickLimit {
		s.fail(c.String()+", which was kicked, to be disconnected", "an open connection after %v", time.Since(c.kicks[0].at))
	}
}

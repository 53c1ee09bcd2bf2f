package simulation

import (
	"fmt"
	"time"

	"example.com/chatroom"
)

const (
	// stillLimit is how long at a time a room may wait for members that take
	// nothing at all. stillShare says for which part of the whole time it may.
	stillLimit = 5 * time.Second
	stillShare = 5

	// maxLooks is how often a held room is looked at while a step sleeps.
	maxLooks = 24

	// batchLimit is more than a server publishes of one member's messages together,
	// which is what it has read, or sixteen messages.
	batchLimit  = 32 << 10
	batchLength = 16
)

// heldFacts says for whom the room is held, and since when these have taken
// nothing.
type heldFacts struct {
	holds          uint64
	messages       uint64 // published
	loose, members int
	taken          int64
	still          time.Time
}

// checkPace checks that memory is bounded, and that the room is held only for a
// good reason.
func (s *simulation) checkPace(rm *room, st chatroom.RoomStats) {
	if s.failed != nil {
		return
	}
	widest := int64(s.widest + 2*headerLen + 64)
	batch := max(batchLimit, batchLength*widest)
	most := int64(s.cfg.backlog) + min(int64(s.cfg.backlog/32), 64<<10) + widest + batch*int64(len(rm.clients)+1)
	if st.Backlog > most {
		s.fail(fmt.Sprintf("nobody to be more than %d bytes behind", most), "%+v", st)
	}
	loose, members, taken := 0, 0, int64(0)
	for _, c := range rm.clients {
		if c.listing() != unlisted {
			members++
			if c.loose {
				loose++
				taken += c.link.look().taken
			}
		}
	}
	now := heldFacts{st.Holds, st.Messages, loose, members, taken, rm.held.still}
	switch {
	case loose == 0 && st.Backlog > 0 && !s.ending:
		s.fail("nobody to be behind, since all read", "%+v", st)
	case !st.Held:
		rm.held = heldFacts{}
	case st.Backlog <= int64(s.cfg.backlog/2):
		s.fail("the room not to be held, since nobody is far behind", "%+v", st)
	case now.holds == rm.held.holds && now.messages != rm.held.messages:
		s.fail("nothing to be published while the room is held", "%+v, after %d messages", st, rm.held.messages)
	case now != rm.held:
		now.still = time.Now()
		rm.held = now
	case time.Since(rm.held.still) > stillLimit:
		s.fail(fmt.Sprintf("the room not to be held for %d of %d members that take nothing", loose, members), "%+v, for %v", st, time.Since(rm.held.still))
	}
}

// A purse is how long the room may still be held for members that take nothing. All
// such holds together may last stillLimit and one stillShare'th of the time. If a
// member takes something after all, what was spent on it does not count.
type purse struct {
	at    time.Time // when it was last looked at
	held  time.Duration
	spent time.Duration // less what has been refilled since
}

// checkPurse checks that members that take nothing do not stop the room for long,
// even if they come back.
func (s *simulation) checkPurse(rm *room, st chatroom.RoomStats) {
	if s.failed != nil {
		return
	}
	was := rm.purse
	now := purse{time.Now(), st.HoldTime, was.spent}
	since, held := now.at.Sub(was.at), now.held-was.held
	if was.at.IsZero() {
		since = 0
	}
	if held < 0 || held > since {
		s.fail(fmt.Sprintf("the room to have been held for up to %v", since), "%v more; %+v", held, st)
	}
	if st.Held || held > 0 {
		rm.spend(&now, held)
	}
	now.spent = max(0, now.spent-since/stillShare)
	if rm.purse = now; now.spent > stillLimit {
		s.fail(fmt.Sprintf("the room to be held for members that take nothing no longer than %v and 1/%d of the time", stillLimit, stillShare),
			"%v more than that; %+v", now.spent-stillLimit, st)
	}
}

// spend counts a hold that has lasted for held, unless one of the members that it
// may be for has taken something. simulation.mu must be held.
func (rm *room) spend(p *purse, held time.Duration) {
	still := true
	for _, c := range rm.clients {
		if taken := c.link.look().taken; taken > c.taken {
			p.spent = max(0, p.spent-c.waitedFor)
			c.taken, c.waitedFor = taken, 0
			still = still && (c.joined == 0 || !c.loose)
		}
	}
	if !still {
		return
	}
	p.spent += held
	for _, c := range rm.clients {
		if c.joined > 0 && c.loose {
			c.waitedFor += held
		}
	}
}

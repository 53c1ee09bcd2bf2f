package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/chatroom"
)

// checkStats holds the server's figures against what hooks were told and the
// observer received.
func (s *simulation) checkStats(st chatroom.Stats) {
	if s.failed != nil {
		return
	}
	var want chatroom.Stats
	want.Accepted, want.Refused = st.Accepted, st.Refused
	left, untold := 0, uint64(0)
	for _, c := range s.all() {
		want.Joined += uint64(c.joined)
		left += c.left
		if c.listed() {
			want.Members++
		}
		switch {
		case c.left > 0 && errors.Is(c.reason, chatroom.ErrSlowConsumer):
			want.SlowConsumers++
		case c.inHook && c.loose && c.link.look().closed:
			untold++ // maybe why; its leave is told when its join hook returns
		}
	}
	if want.SlowConsumers <= st.SlowConsumers && st.SlowConsumers <= want.SlowConsumers+untold {
		want.SlowConsumers = st.SlowConsumers
	}
	want.Connections = int(st.Accepted-st.Refused) - left
	for _, m := range s.log {
		want.Bytes += uint64(len(m.unit))
	}
	want.Messages = uint64(len(s.log))
	if s.observer.left > 0 {
		want.Messages, want.Bytes = st.Messages, st.Bytes // nobody has seen the last of them
	}
	want.Backlog, want.Holds, want.Held = st.Backlog, st.Holds, st.Held
	if st != want {
		s.fail(fmt.Sprintf("figures %+v", want), "%+v", st)
	}
	if s.ending {
		return
	}
	var accepted, refused int
	for _, c := range s.all() {
		accepted++
		if c.dead && c.joined == 0 {
			refused++
		}
	}
	if int(st.Accepted) != accepted || int(st.Refused) != refused {
		s.fail(fmt.Sprintf("%d connections accepted and %d refused", accepted, refused), "%+v", st)
	}
}

// checkPace says that memory is bounded, and that the room is held for good
// reason only.
func (s *simulation) checkPace(st chatroom.Stats) {
	if s.failed != nil {
		return
	}
	widest := int64(s.widest + 2*headerLen + 64)
	batch := max(batchLimit, batchLength*widest)
	most := int64(s.cfg.backlog) + min(int64(s.cfg.backlog/32), 64<<10) + widest + batch*int64(len(s.clients)+1)
	if st.Backlog > most {
		s.fail(fmt.Sprintf("nobody to be more than %d bytes behind", most), "%+v", st)
	}
	loose, members, taken := 0, 0, int64(0)
	for _, c := range s.all() {
		if c.listed() {
			members++
			if c.loose {
				loose++
				taken += c.link.look().taken
			}
		}
	}
	switch {
	case loose == 0 && st.Backlog > 0 && !s.ending:
		s.fail("nobody to be behind, since all read", "%+v", st)
	case !st.Held:
		s.held = heldFacts{}
	case st.Backlog <= int64(s.cfg.backlog/4):
		s.fail("the room not to be held, since nobody is far behind", "%+v", st)
	case s.held.holds != st.Holds || s.held.loose != loose || s.held.members != members:
		s.held = heldFacts{st.Holds, loose, members, time.Now(), taken, time.Now()}
	case 2*loose < members && time.Since(s.held.since) > graceLimit:
		s.fail(fmt.Sprintf("the room not to be held for %d of %d members", loose, members), "%+v, for %v", st, time.Since(s.held.since))
	case s.held.taken != taken:
		s.held.taken, s.held.still = taken, time.Now()
	case 2*loose == members && time.Since(s.held.still) > tieLimit:
		s.fail(fmt.Sprintf("the room not to be held for %d of %d members that take nothing", loose, members), "%+v, for %v", st, time.Since(s.held.still))
	}
}

// checkMembers holds the list of members against what hooks were told.
func (s *simulation) checkMembers() {
	if s.failed != nil {
		return
	}
	var want []uint64
	for _, c := range s.all() {
		if c.listed() {
			want = append(want, c.id)
		}
	}
	slices.Sort(want)
	members := s.server.Members()
	same := slices.EqualFunc(members, want, func(m chatroom.Member, id uint64) bool {
		c := s.byAddr[m.RemoteAddr.String()]
		return m.ID == id && c != nil && c.id == id && m.Name == c.name && !m.JoinedAt.Before(c.opened)
	})
	if !same {
		s.fail(fmt.Sprintf("members %v", want), "%v", members)
	}
}

// checkFlushed says that all members have received what was published before a
// Flush that returned nil: messages in all.
func (s *simulation) checkFlushed(messages uint64) {
	for _, c := range s.clients {
		if c.resolved && c.listed() && c.link.look().there && c.next < int(messages) {
			s.fail(c.String()+" to have received all, since it was flushed", "%d messages missing", int(messages)-c.next)
		}
	}
}

// checkEnd says that nothing is left of the server.
func (s *simulation) checkEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.server.Stats()
	if st.Connections != 0 || st.Members != 0 || st.Held {
		s.fail("nothing to be left of the server", "%+v", st)
	}
	if !errors.Is(s.serveErr, chatroom.ErrServerClosed) {
		s.fail("Serve to return ErrServerClosed", "%v", s.serveErr)
	}
	for _, c := range s.all() {
		switch link := c.link.look(); {
		case !link.closed:
			s.fail("the connection of "+c.String()+" to be closed at the end", "an open one")
		case c.joined != c.left:
			s.fail("the leave of "+c.String()+" to be told once", "%d times", c.left)
		}
	}
	for _, e := range s.ends {
		// Its goroutine gets the news of a Close at once, whatever it waited for.
		if e.err != nil && e.took != e.limit {
			s.fail("Shutdown to return nil, or its context's error when that has ended", "%v after %v", e.err, e.took)
		}
	}
}

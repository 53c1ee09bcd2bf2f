package simulation

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"example.com/chatroom"
)

// checkStats compares the server's figures with what hooks were told and what the
// observer received.
func (s *simulation) checkStats(st chatroom.Stats) {
	if s.failed != nil {
		return
	}
	want := st // other checks are for what neither hooks nor the observer tell
	want.Connections, want.Joins, want.Leaves, want.Messages, want.Bytes = 0, 0, chatroom.Leaves{}, 0, 0
	left, closing := 0, 0
	for _, c := range s.all() {
		want.Joins += uint64(c.joined)
		left += c.left
		if c.left > 0 {
			countLeave(&want.Leaves, c)
		}
		state := c.link.look()
		switch {
		case c.left > 0 && c.inHook:
			want.Connections++
		case c.joined == 0 && !state.closed && (state.closing || c.verdict != nil):
			closing++ // maybe the server has refused it, and maybe never accepted it
		}
	}
	want.Connections += int(st.Accepted-st.Refusals.Total()) - left
	if want.Connections <= st.Connections && st.Connections <= want.Connections+closing {
		want.Connections = st.Connections
	}
	want.Messages, want.Bytes = s.pastMessages, s.pastBytes
	known := s.observer.left == 0 && !s.blurred // else nobody has seen the last of them
	for _, rm := range s.rooms {
		messages, size := s.counts(rm)
		want.Messages += messages
		want.Bytes += size
		known = known && !rm.lost && (rm.watcher == nil || rm.watcher.left == 0)
	}
	if !known {
		want.Messages, want.Bytes = st.Messages, st.Bytes
	}
	if st != want {
		s.fail(fmt.Sprintf("figures %+v", want), "%+v", st)
	}
	s.checkDropped(st)
	if s.ending {
		return
	}
	var accepted, refused, maybe int
	for _, c := range s.all() {
		accepted++
		switch {
		case c.joined > 0:
		case c.dead:
			refused++
		case c.link.look().closing || c.verdict != nil:
			maybe++ // if its end has been noticed
		}
	}
	if got := int(st.Refusals.Total()); int(st.Accepted) != accepted || got < refused || got > refused+maybe {
		s.fail(fmt.Sprintf("%d connections accepted and %d refused", accepted, refused), "%+v", st)
	}
}

// checkDropped checks how many messages hooks have dropped. What they drop of somebody
// who has just been put out does not count.
func (s *simulation) checkDropped(st chatroom.Stats) {
	least, most := 0, 0
	for _, c := range s.clients {
		most += c.drops
		if c.left == 0 && !c.isLossy() {
			least += c.drops
		}
	}
	if int(st.Dropped) < least || int(st.Dropped) > most {
		s.fail(fmt.Sprintf("%d to %d dropped messages", least, most), "%+v", st)
	}
}

// countLeave counts the leave of c, for the reason that hooks were told.
func countLeave(leaves *chatroom.Leaves, c *client) {
	reason := c.reason
	for _, one := range []struct {
		matches bool
		count   *uint64
	}{
		{reason == nil, &leaves.Goodbye},
		{errors.Is(reason, chatroom.ErrServerClosed), &leaves.ServerClosed},
		{errors.Is(reason, chatroom.ErrKicked), &leaves.Kicked},
		{errors.Is(reason, chatroom.ErrSlowConsumer), &leaves.SlowConsumer},
		{c.verdict != nil && errors.Is(reason, c.verdict), &leaves.Hook},
		{errors.Is(reason, os.ErrDeadlineExceeded), &leaves.Timeout},
		{errors.Is(reason, chatroom.ErrBadHeader) || errors.Is(reason, chatroom.ErrFrameTooLarge), &leaves.Protocol},
		{true, &leaves.Lost},
	} {
		if one.matches {
			*one.count++
			return
		}
	}
}

// checkMembers compares the lists of members with what hooks were told.
func (s *simulation) checkMembers(st chatroom.Stats) {
	if s.failed != nil {
		return
	}
	members := s.server.Members()
	got := make(map[*client]bool)
	for i, m := range members {
		c := s.byAddr[m.RemoteAddr.String()]
		if c == nil || c.listing() == unlisted || c.member != m || i > 0 && members[i-1].ID >= m.ID {
			s.fail("members that have joined and not left, in that order", "%v", members)
			return
		}
		got[c] = true
	}
	for _, c := range s.all() {
		switch {
		case c.listing() == listed && !got[c]:
			s.fail("members with "+c.String(), "%v", members)
		case c.joined > 0 && !got[c] && c.goneAt == 0:
			c.goneAt, c.goneTo = s.clock, len(c.room.log)
		}
	}
	if len(members) != st.Members {
		s.fail(fmt.Sprintf("%d members", len(members)), "%+v", st)
	}
	for _, rm := range s.rooms {
		var want []chatroom.Member
		for _, m := range members {
			if m.Room() == s.live(rm) {
				want = append(want, m)
			}
		}
		if len(s.rooms) > 1 && !slices.Equal(s.live(rm).Members(), want) {
			s.fail(fmt.Sprintf("members %v in room %q", want, rm.name), "%v", s.live(rm).Members())
		}
	}
}

// checkFlushed checks that the members have received what was published before a Flush
// that returned nil. That is as many messages of the log of each.
func (s *simulation) checkFlushed(upTo map[*client]int) {
	for c, n := range upTo {
		if c.resolved && c.listing() == listed && c.link.look().there && !c.free && c.next < n {
			s.fail(c.String()+" to have received all, since it was flushed", "%d messages missing", n-c.next)
		}
	}
}

// checkEnd checks that nothing is left of the server.
func (s *simulation) checkEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.server.Stats()
	if st.Connections != 0 || st.Members != 0 || st.Held {
		s.fail("nothing to be left of the server", "%+v", st)
	}
	for _, l := range s.listeners {
		want := chatroom.ErrServerClosed
		if l.failed {
			want = net.ErrClosed
		}
		if !l.served || !errors.Is(l.err, want) {
			s.fail(fmt.Sprintf("Serve to return %v", want), "%v", l.err)
		}
		if l.listener.Close() == nil {
			s.fail("Serve to close its listener", "an open one")
		}
	}
	for _, c := range s.all() {
		switch state := c.link.look(); {
		case !state.closed:
			s.fail("the connection of "+c.String()+" to be closed at the end", "an open one")
		case c.joined != c.left:
			s.fail("the leave of "+c.String()+" to be told once", "%d times", c.left)
		}
	}
	for _, e := range s.ends {
		// Its goroutine gets the news of a Close immediately, whatever it waited for.
		if e.err != nil && e.took != e.limit {
			s.fail("Shutdown to return nil, or its context's error when that has ended", "%v after %v", e.err, e.took)
		}
	}
}

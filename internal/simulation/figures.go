package simulation

import (
	"errors"
	"fmt"
	"net"
	"os"

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
			countLeave(&want.Leaves, c.reason)
		}
		state := c.link.look()
		switch {
		case c.left > 0 && c.inHook:
			want.Connections++
		case c.joined == 0 && state.closing && !state.closed:
			closing++ // maybe the server has refused it, and maybe never accepted it
		}
	}
	want.Connections += int(st.Accepted-st.Refusals.Total()) - left
	if want.Connections <= st.Connections && st.Connections <= want.Connections+closing {
		want.Connections = st.Connections
	}
	for _, m := range s.log {
		want.Bytes += uint64(len(m.unit))
	}
	want.Messages = uint64(len(s.log))
	if s.observer.left > 0 {
		want.Messages, want.Bytes = st.Messages, st.Bytes // nobody has seen the last of them
	}
	if st != want {
		s.fail(fmt.Sprintf("figures %+v", want), "%+v", st)
	}
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
		case c.link.look().closing:
			maybe++ // if its end has been noticed
		}
	}
	if got := int(st.Refusals.Total()); int(st.Accepted) != accepted || got < refused || got > refused+maybe {
		s.fail(fmt.Sprintf("%d connections accepted and %d refused", accepted, refused), "%+v", st)
	}
}

// countLeave counts a leave that hooks were told with reason.
func countLeave(leaves *chatroom.Leaves, reason error) {
	for _, one := range []struct {
		matches bool
		count   *uint64
	}{
		{reason == nil, &leaves.Goodbye},
		{errors.Is(reason, chatroom.ErrServerClosed), &leaves.ServerClosed},
		{errors.Is(reason, chatroom.ErrSlowConsumer), &leaves.SlowConsumer},
		{errors.Is(reason, chatroom.ErrHookFailed), &leaves.Hook},
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

// checkMembers compares the list of members with what hooks were told.
func (s *simulation) checkMembers(st chatroom.Stats) {
	if s.failed != nil {
		return
	}
	members := s.server.Members()
	got := make(map[uint64]bool)
	for i, m := range members {
		c := s.byAddr[m.RemoteAddr.String()]
		if c == nil || c.listing() == unlisted || c.id != m.ID || m.Name != c.name || m.JoinedAt.Before(c.opened) || i > 0 && members[i-1].ID >= m.ID {
			s.fail("members that have joined and not left, in that order", "%v", members)
		}
		got[m.ID] = true
	}
	for _, c := range s.all() {
		if c.listing() == listed && !got[c.id] {
			s.fail("members with "+c.String(), "%v", members)
		}
	}
	if len(members) != st.Members {
		s.fail(fmt.Sprintf("%d members", len(members)), "%+v", st)
	}
}

// checkFlushed checks that all members have received what was published before a
// Flush that returned nil. That is the given number of messages.
func (s *simulation) checkFlushed(messages uint64) {
	for _, c := range s.clients {
		if c.resolved && c.listing() == listed && c.link.look().there && c.next < int(messages) {
			s.fail(c.String()+" to have received all, since it was flushed", "%d messages missing", int(messages)-c.next)
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

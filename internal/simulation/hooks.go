package simulation

import (
	"context"
	"fmt"
	"time"

	"example.com/chatroom"
)

// names are the names of members. Some are the same on purpose.
var names = []string{
	"ann", "bob", "ann", "Ünï", "a rather long name of a member", // members
	"jinx", // whose join hook panics
	"lee",  // whose leave hook panics
	"hal",  // whose join hook takes a second
	"ivy",  // whose join hook broadcasts
	"lou",  // whose leave hook broadcasts
	"no",   // is refused
	"",     // as well
}

// The names of those whose join hooks end the server.
const (
	closer = "cleo" // closes it
	ender  = "dora" // shuts it down, on a goroutine of its own
)

// hookLimit is how long a hook's broadcast waits.
const hookLimit = time.Minute

func (s *simulation) onJoin(_ context.Context, m chatroom.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.name != m.Name {
		s.strange = fmt.Sprintf("the join of %v", m)
		return
	}
	c.joined++
	c.id, c.hi = m.ID, s.server.Stats().Messages
	switch m.Name {
	case "jinx":
		panic("the join of a jinx")
	case "hal":
		s.inHookLocked(c, func() { time.Sleep(time.Second) })
	case "ivy":
		s.inHookLocked(c, func() { s.broadcast(minBody, hookLimit) })
	case closer:
		s.inHookLocked(c, func() { _ = s.server.Close() }) // never fails
	case ender:
		s.wg.Go(func() { s.shutdown(time.Hour) })
	}
}

// inHookLocked runs without the lock what a hook does, and waits for it. s.mu must
// be held.
func (s *simulation) inHookLocked(c *client, do func()) {
	c.inHook = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		c.inHook = false
	}()
	do()
}

func (s *simulation) onLeave(_ context.Context, m chatroom.Member, reason error) {
	st := s.server.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.name != m.Name || c.id != m.ID {
		s.strange = fmt.Sprintf("the leave of %v", m)
		return
	}
	c.left++
	c.reason = reason
	state := c.link.look()
	c.slow = slowFacts{time.Now(), state, int64(st.Bytes - c.loBytes)}
	if !state.closed {
		s.strange = fmt.Sprintf("the leave of %v before its connection was closed", c)
	}
	switch m.Name {
	case "lee":
		panic("the leave of lee")
	case "lou":
		s.inHookLocked(c, func() { s.broadcast(minBody, hookLimit) })
	}
}

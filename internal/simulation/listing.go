package simulation

import "fmt"

// A listing says whether the room lists a client when nothing moves.
type listing byte

const (
	unlisted listing = iota
	listed
	maybeListed // it leaves, but a write may still meet a reset
)

// listing returns whether the room must list the client. simulation.mu must be
// held.
func (c *client) listing() listing {
	switch {
	case c.joined <= c.left || c.link.look().closing || c.isKicked():
		return unlisted
	case !c.dueSince.IsZero():
		return maybeListed
	}
	return listed
}

// mayBeTaken reports whether another member of its room may have had the name of c
// while c tried to join. s.mu must be held.
func (s *simulation) mayBeTaken(c *client) bool {
	if !s.cfg.unique {
		return false
	}
	for _, other := range c.room.clients {
		if other != c && other.name == c.name && other.mayHaveBeenThere(c.openedAt) {
			return true
		}
	}
	return false
}

// mayBeFull reports whether its room may have been full while c tried to join. s.mu
// must be held.
func (s *simulation) mayBeFull(c *client) bool {
	n := 0
	for _, other := range c.room.clients {
		if other.mayHaveBeenThere(c.openedAt) {
			n++
		}
	}
	return s.cfg.maxMembers > 0 && n >= s.cfg.maxMembers
}

// mayHaveBeenThere reports whether the room may have listed c since a moment on
// simulation.clock. simulation.mu must be held.
func (c *client) mayHaveBeenThere(since int) bool {
	return c.joined > 0 && (c.goneAt == 0 || c.goneAt > since)
}

// checkCompany checks, when c has just joined, that its name is its own and that there
// is room for it. s.mu must be held.
func (s *simulation) checkCompany(c *client) {
	same := 0
	members := s.live(c.room).Members()
	for _, m := range members {
		if m.Name == c.name {
			same++
		}
	}
	switch {
	case s.cfg.unique && same > 1:
		s.strange = fmt.Sprintf("%d members called %q in room %q", same, c.name, c.room.name)
	case s.cfg.maxMembers > 0 && len(members) > s.cfg.maxMembers:
		s.strange = fmt.Sprintf("%d members in room %q, which is bounded to %d", len(members), c.room.name, s.cfg.maxMembers)
	}
}

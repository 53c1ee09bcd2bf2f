package simulation

import "time"

// speak has the program say something to all rooms, to one, or to one member, maybe
// not to everyone there.
func (s *simulation) speak(st step) {
	b := &say{
		size:  s.cfg.size(st.b),
		limit: pick(st.a, 24*time.Hour, time.Minute, time.Second, 10*time.Millisecond, 0),
	}
	s.mu.Lock()
	switch st.op {
	case opAddress:
		b.room = s.rooms[int(st.a>>3)%len(s.rooms)]
	case opTell:
		b.to = s.member(st.a>>2, st.b&0x80 != 0)
	}
	if b.to == nil {
		for _, x := range []byte{st.b >> 4, st.b >> 6} {
			if c := s.member(x, true); c != nil && x&1 != 0 {
				b.except = append(b.except, c)
			}
		}
	}
	s.mu.Unlock()
	if st.op == opTell && b.to == nil {
		return
	}
	s.note("the program says %v within %v, not to %v", b, b.limit, b.except)
	s.widen(b.size)
	s.wg.Go(func() { s.say(b) })
}

// member returns a client that has become a member, chosen by x, or nil. It may have
// left if gone says so. s.mu must be held.
func (s *simulation) member(x byte, gone bool) *client {
	return s.choose(x, func(c *client) bool { return c.joined > 0 && !c.watches && (gone || c.left == 0) })
}

// throwOut has the program kick a member, mostly when nothing moves.
func (s *simulation) throwOut(st step) {
	if st.b&3 > 0 {
		s.settle()
	}
	s.mu.Lock()
	c := s.member(st.a, st.b&4 != 0)
	if c != nil && c.mute < 0 && st.b&3 > 0 && !c.inHook { // which may end before Kick returns, and a message be published
		c.mute = c.published
	}
	s.mu.Unlock()
	if c == nil {
		return
	}
	s.note("the program kicks %v", c)
	s.kick(c)
}

// vacate has the watcher of a room leave in which nobody else is, and maybe another one
// come at the same moment.
func (s *simulation) vacate(st step) {
	s.settle()
	rm := s.rooms[int(st.a)%len(s.rooms)]
	if rm.name == "" || s.ending || s.failed != nil || !s.isLonely(rm) {
		return
	}
	s.mu.Lock()
	rm.emptyFrom = time.Now()
	s.mu.Unlock()
	s.goodbye(rm.watcher, false)
	if st.b&1 != 0 {
		s.relieve(rm)
	}
}

// isLonely reports whether only its watcher is in the room, and nobody else on the way
// there.
func (s *simulation) isLonely(rm *room) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range rm.clients {
		if c != rm.watcher && !c.dead {
			return false
		}
	}
	return rm.isWatched()
}

// desert has all who are in a room leave it at the same moment, while somebody may
// publish there. Nobody is left who knows what becomes of that.
func (s *simulation) desert(st step) {
	s.settle()
	rm := s.rooms[int(st.a)%len(s.rooms)]
	s.mu.Lock()
	watched := rm.isWatched()
	s.mu.Unlock()
	if rm.name == "" || s.ending || s.failed != nil || !watched {
		return
	}
	s.note("room %q is deserted", rm.name)
	for range st.b & 3 { // so that somebody waits, if the room is held
		s.wg.Go(func() { s.say(&say{room: rm, size: minBody, limit: hookLimit}) })
	}
	s.mu.Lock()
	rm.lost, rm.emptyFrom = true, time.Now()
	w := rm.watcher
	var leaving []*client
	for _, c := range rm.clients {
		if !c.dead {
			c.free, c.lossy = true, true
			leaving = append(leaving, c)
		}
	}
	s.mu.Unlock()
	for _, c := range leaving {
		kicks := st.b&4 != 0 && c.joined > 0
		switch {
		case kicks:
			s.note("the program kicks %v", c)
			s.wg.Go(func() { s.kick(c) })
		case c.over && c != w:
		case st.b&8 != 0 && c != w:
			s.cut(c)
		default:
			s.goodbye(c, false)
		}
	}
}

package simulation

import (
	"context"
	"fmt"
	"time"

	"example.com/chatroom"
)

// maxClients is how many clients connect in a history. Those that watch rooms, and those
// because of whom hooks end the server, do not count.
const maxClients = 40

// observer is the name of those who watch rooms.
const observer = "observer"

// seed has the program say something in each room before the server serves anybody.
func (s *simulation) seed() {
	for range s.cfg.seeds {
		for _, rm := range s.rooms {
			s.say(&say{room: rm, size: minBody, limit: hookLimit})
		}
	}
}

// observe has the room "" watched, for as long as the server is there.
func (s *simulation) observe() {
	s.observer = s.newWatcher(1, observer, s.rooms[0])
	s.watch(s.observer)
}

// relieve has somebody new watch rm.
func (s *simulation) relieve(rm *room) {
	c := s.newWatcher(len(s.clients)+2, fmt.Sprintf("%s %d", observer, len(s.clients)), rm)
	s.clients = append(s.clients, c)
	s.note("%v connects, to watch", c)
	s.watch(c)
}

// newWatcher returns a client that has not connected yet, and that can be relied on to
// read.
func (s *simulation) newWatcher(number int, name string, rm *room) *client {
	traits := s.cfg.link(number, 0)
	traits.half = false
	if traits.kind == layeredLink {
		traits.kind = streamLink // the server ends a read below a layer that is overdue
	}
	c := s.newClient(number, character{name: name}, rm, traits)
	c.watches, c.link.patient = true, true
	return c
}

// watch has c, which is new, watch its room.
func (s *simulation) watch(c *client) {
	s.mu.Lock()
	c.room.watcher = c
	s.mu.Unlock()
	c.begin(-1)
	c.finish(len(c.rest), s.tick())
	s.offer(c)
	s.settle()
}

// join has somebody connect, and returns that client, or nil if there are enough.
func (s *simulation) join(st step) *client {
	if s.joins++; s.joins > maxClients {
		return nil
	}
	n := len(characters)
	rm := s.enterable(s.rooms[int(st.a)/n%len(s.rooms)])
	c := s.connect(characters[int(st.a)%n], rm, st.b)
	s.note("%v connects%s%s", c, either(c.viaServe, ", by ServeConn", ""), either(c.named, "", ", and says nothing yet"))
	if st.op == opLurk && !c.named {
		c.finish(int(st.a)%len(c.rest), s.tick())
	}
	if c.name == "no" || c.name == "" {
		c.may(chatroom.ErrNameRejected)
	}
	if st.op == opJoin && st.b&0x30 == 0x30 {
		s.pace(c, step{op: opStall, b: st.b})
	}
	return c
}

// enterable returns rm once it is watched, or the room "" if it cannot be: members that
// have left it with its watcher are still on their way out.
func (s *simulation) enterable(rm *room) *room {
	s.mu.Lock()
	watched, deserted := rm.isWatched(), rm.isDeserted()
	s.mu.Unlock()
	switch {
	case watched:
		return rm
	case s.ending:
		return s.rooms[0]
	}
	s.settle()
	if !deserted || s.failed != nil {
		return s.rooms[0]
	}
	s.relieve(rm)
	return rm
}

// newClient returns a client that has not connected yet.
func (s *simulation) newClient(number int, who character, rm *room, traits linkTraits) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	c := &client{
		number:    number,
		character: who,
		name:      who.name,
		wire:      who.name,
		room:      rm,
		filtered:  s.cfg.filters,
		link:      newLink(number, traits),
		opened:    time.Now(),
		openedAt:  s.clock,
		lo:        len(rm.log),
		loBytes:   s.server.Stats().Bytes,
		mute:      -1,
	}
	if rm.name != "" {
		c.wire += atRoom + rm.name
	}
	c.context, c.cancel = context.WithCancel(context.Background())
	if s.ending {
		c.may(chatroom.ErrServerClosed)
		c.lossy = true
	}
	rm.clients = append(rm.clients, c)
	s.byAddr[c.link.remote.String()] = c
	return c
}

// connect opens a connection and sends the name, or, if the options say so, nothing of
// it yet.
func (s *simulation) connect(who character, rm *room, options byte) *client {
	number := len(s.clients) + 2
	c := s.newClient(number, who, rm, s.cfg.link(number, options))
	s.clients = append(s.clients, c)
	if c.begin(-1); options&0x80 == 0 {
		c.finish(len(c.rest), s.tick())
	}
	if options&0x40 == 0 {
		s.offer(c)
		return c
	}
	c.viaServe = true
	s.wg.Go(func() {
		err := s.server.ServeConn(c.context, c.link.conn())
		s.mu.Lock()
		defer s.mu.Unlock()
		c.served, c.servedBy = true, err
	})
	return c
}

// offer has the server accept c from a listener.
func (s *simulation) offer(c *client) {
	nc := c.link.conn()
	if l := s.listener(c.number); l == nil || !l.offer(nc) {
		if !s.ending {
			s.fail("the server to listen", "its listener closed")
		}
		_ = nc.Close()
		s.mu.Lock()
		c.dead = true
		s.mu.Unlock()
	}
}

// tick moves the clock on, and returns it.
func (s *simulation) tick() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	return s.clock
}

package simulation

import (
	"context"
	"testing/synctest"
	"time"
)

// endFacts is what came of one Shutdown.
type endFacts struct {
	err   error
	limit time.Duration
	took  time.Duration
}

// end begins the server's end.
func (s *simulation) end(st step) {
	s.settle()
	limit := pick(st.b, 24*time.Hour, time.Second, 40*time.Second)
	switch st.b % 8 {
	case 3:
		s.note("close the server")
		s.beginEnd(true)
		_ = s.server.Close() // never fails
	case 4:
		s.endByHook(pick(st.a, closer, barrer, quitter, breaker), true)
	case 5:
		s.endByHook(ender, false)
	default:
		s.note("shut the server down within %v", limit)
		s.beginEnd(false)
		s.wg.Go(func() { s.shutdown(limit) })
	}
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// endByHook has somebody join because of whom a hook ends the server. If the server has
// ended already, nobody joins. If nobody can join, the server is closed.
func (s *simulation) endByHook(who character, cutShort bool) {
	ending := s.ending
	c := s.connect(who, s.rooms[0], 0)
	s.note("%v connects, because of whom a hook ends the server", c)
	s.beginEnd(cutShort && !ending)
	if who.when == speaking {
		s.send(c, 2, minBody)
	}
	if who.when == leaving {
		s.goodbye(c, false)
	}
	synctest.Wait()
	s.mu.Lock()
	ended := s.endedByHook
	s.mu.Unlock()
	if !ending && !ended {
		s.note("no hook has, so it is closed")
		s.beginEnd(true)
		_ = s.server.Close() // never fails
	}
}

// shutdown shuts the server down within limit. It waits until that is done.
func (s *simulation) shutdown(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	err := s.server.Shutdown(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, endFacts{err, limit, time.Since(start)})
}

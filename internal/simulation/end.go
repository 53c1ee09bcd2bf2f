package simulation

import (
	"context"
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
		s.endByHook(closer, true)
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

// endByHook has somebody join whose join hook ends the server. If the server has
// ended already, nobody joins.
func (s *simulation) endByHook(name string, cutShort bool) {
	cutShort = cutShort && !s.ending
	c := s.connect(name, 0)
	s.clients = append(s.clients, c)
	s.note("%v connects, whose join hook ends the server", c)
	s.beginEnd(cutShort)
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

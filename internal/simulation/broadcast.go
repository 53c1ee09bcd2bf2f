package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/chatroom"
)

// A broadcast is a message of the program's. simulation.mu guards its fields.
type broadcast struct {
	size     int
	began    time.Time
	limit    time.Duration // how long it may wait
	late     bool          // the server had ended before it began
	observed bool          // the observer has received it
	returned bool
	err      error
	took     time.Duration
}

// broadcast has the program say something. It waits until that is published, for
// limit at most. Hooks call it too.
func (s *simulation) broadcast(size int, limit time.Duration) {
	s.mu.Lock()
	b := &broadcast{size: size, began: time.Now(), limit: limit, late: s.ended}
	body := s.program.appendBody(nil, len(s.broadcasts), size)
	s.broadcasts = append(s.broadcasts, b)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.server.Broadcast(ctx, s.program.name, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.returned, b.err, b.took = true, err, time.Since(b.began)
}

// checkBroadcasts compares what the program was told of its messages with what the
// observer has received.
func (s *simulation) checkBroadcasts(st chatroom.Stats) {
	for i, b := range s.broadcasts {
		if s.failed != nil {
			return
		}
		what := fmt.Sprintf("broadcast %d, of %d bytes,", i, b.size)
		overdue := b.returned && b.err != nil && b.took == b.limit && errors.Is(b.err, context.DeadlineExceeded)
		switch {
		case !b.returned && (!st.Held || b.observed || s.ending || time.Since(b.began) >= b.limit):
			s.fail(what+" to have returned", "nothing after %v; observed: %v; %+v", time.Since(b.began), b.observed, st)
		case !b.returned:
		case b.err == nil && b.late:
			s.fail(what+" to fail, since the server had ended", "no error")
		case b.err == nil && !b.observed && !s.abrupt():
			s.fail("the observer to receive "+what, "nothing")
		case b.err != nil && b.observed:
			s.fail(what+" not to be published, since it has failed", "it, and %v", b.err)
		case b.err != nil && !overdue && (!s.ending || !errors.Is(b.err, chatroom.ErrServerClosed)):
			s.fail(what+" to be published, or to fail for a reason", "%v after %v, of %v", b.err, b.took, b.limit)
		}
	}
}

package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

const (
	// hangTimeout bounds every wait outside a bubble: a test that meets it has hung.
	hangTimeout = 10 * time.Second

	// bubbleTimeout is the same for a bubble's clock, which only gets there when
	// nothing else is left to happen.
	bubbleTimeout = 24 * time.Hour

	// reasonTimeout is how long a failure waits for the server to say why.
	reasonTimeout = time.Second
)

// WaitLeave waits until a member named name has left, and returns the reason
// that leave hooks are told: nil for a clean goodbye. Each leave is returned
// once, the earliest first, also one that happened before the call.
func (s *Server) WaitLeave(name string) error {
	s.tb.Helper()
	var reason error
	ok := s.await(func() bool {
		i := slices.IndexFunc(s.left, func(l leave) bool { return l.member.Name == name && !l.claimed })
		if i >= 0 {
			s.left[i].claimed, reason = true, s.left[i].reason
		}
		return i >= 0
	})
	if !ok {
		s.fail(name, "want it to leave, but it did not")
	}
	return reason
}

// WantMembers waits until the room lists members of exactly these names, in the
// order of joining, and fails the test if it comes to rest otherwise.
func (s *Server) WantMembers(names ...string) {
	s.tb.Helper()
	ok := s.await(func() bool {
		return slices.EqualFunc(s.Members(), names, func(m chatroom.Member, name string) bool { return m.Name == name })
	})
	if !ok {
		s.fail("the room", "want members %s, and nobody comes or goes", quoted(names))
	}
}

// WaitWritten waits until all that was published before the call has been
// written to the members' connections. Where these have no buffers, as in memory by
// default, that is until they have read it.
func (s *Server) WaitWritten() {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		s.fail("the room", "not all is written: a member is %d bytes behind", s.Stats().Backlog)
	}
}

// timeout returns a context that ends when the test must have hung.
func (s *Server) timeout() (context.Context, context.CancelFunc) {
	d := hangTimeout
	if s.bubble {
		d = bubbleTimeout
	}
	return context.WithTimeout(context.Background(), d)
}

// guard does one blocking operation on nc, and closes nc when the test must have
// hung; the error is then context.DeadlineExceeded.
func (s *Server) guard(nc net.Conn, op func() error) error {
	ctx, cancel := s.timeout()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	err := op()
	if !stop() {
		return ctx.Err()
	}
	return err
}

// fail ends the test: what who wanted did not come. It says who is in the room, and
// who has left it and why.
func (s *Server) fail(who, format string, args ...any) {
	s.tb.Helper()
	s.tb.Fatalf("chatroomtest: %s: %s; in the room: %s", who, fmt.Sprintf(format, args...), s.names())
}

// inBubble reports whether the caller runs inside a synctest bubble: elsewhere
// synctest.Wait panics.
func inBubble() (in bool) {
	defer func() { in = recover() == nil }()
	synctest.Wait()
	return true
}

// checkBubble fails the test unless it is where the server was made. Channels and
// timers of a bubble do not work outside of it, nor does its clock with others.
func (s *Server) checkBubble() {
	s.tb.Helper()
	switch in := inBubble(); {
	case in && !s.bubble:
		s.tb.Fatalf("chatroomtest: the server was made outside this synctest bubble; make it inside, with the bubble's T")
	case !in && s.bubble:
		s.tb.Fatalf("chatroomtest: the server was made inside a synctest bubble, and cannot be used outside of it")
	}
}

// await waits until cond, which is called with s.mu held. It reports false if that hangs.
func (s *Server) await(cond func() bool) bool {
	ctx, cancel := s.timeout()
	defer cancel()
	return s.awaitUntil(ctx, cond)
}

func (s *Server) awaitUntil(ctx context.Context, cond func() bool) bool {
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// change returns a channel that is closed at the next change.
func (s *Server) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// claimJoin takes the first unclaimed join from addr or, where addresses tell nothing, of
// name.
func (s *Server) claimJoin(name string, addr net.Addr) (chatroom.Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.joined {
		if m.RemoteAddr.String() == addr.String() && !isBlank(addr) || isBlank(addr) && m.Name == name {
			s.joined = slices.Delete(s.joined, i, i+1)
			return m, true
		}
	}
	return chatroom.Member{}, false
}

// isBlank reports whether addr tells nothing, as mostly with Unix sockets.
func isBlank(addr net.Addr) bool { return strings.Trim(addr.String(), "@") == "" }

// whyEnded tells why the server has ended the connection from addr, for a failure.
// The client has heard of the end; the server says why a moment later.
func (s *Server) whyEnded(addr net.Addr) (text string) {
	if isBlank(addr) {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), reasonTimeout)
	defer cancel()
	s.awaitUntil(ctx, func() bool {
		reason, ok := s.ended[addr.String()]
		if ok {
			text = fmt.Sprintf("; the server has ended the connection: %v", reason)
		}
		return ok
	})
	return text
}

// awaitLeave waits a moment for the leave hook to tell of a member, so that a failure
// does.
func (s *Server) awaitLeave(m chatroom.Member) {
	ctx, cancel := context.WithTimeout(context.Background(), reasonTimeout)
	defer cancel()
	s.awaitUntil(ctx, func() bool {
		return slices.ContainsFunc(s.left, func(l leave) bool { return l.member.ID == m.ID })
	})
}

// names lists the members for a failure, and who has left before the server's end
// without a goodbye.
func (s *Server) names() string {
	var names []string
	for _, m := range s.Members() {
		names = append(names, m.Name)
	}
	text := quoted(names)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.left {
		if l.reason != nil && !errors.Is(l.reason, chatroom.ErrServerClosed) {
			text += fmt.Sprintf("; %q has left: %v", l.member.Name, l.reason)
		}
	}
	return text
}

// namesHere lists those whose leave hooks have not all returned.
func (s *Server) namesHere() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.here {
		names = append(names, m.Name)
	}
	return names
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return fmt.Sprintf("%q", names)
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

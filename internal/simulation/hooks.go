package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/chatroom"
)

var (
	errRefused  = errors.New("not this name")
	errUnwanted = errors.New("not you")
	errRude     = errors.New("rude")
)

// hookLimit is how long a hook's broadcast waits, and hookTime how long a hook waits
// that does only that.
const (
	hookLimit = time.Minute
	hookTime  = time.Second
)

// atRoom separates the name from the room in what a client sends first.
const atRoom = "@"

func nameRule(name string) error {
	if name == "no" {
		return errRefused
	}
	return chatroom.CheckName(name)
}

// onAdmit sends a connection to the room that it names, and gives it the rest of what
// it has sent as its name.
func (s *simulation) onAdmit(ctx context.Context, j *chatroom.Join) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[j.Conn.RemoteAddr().String()]
	_, hasDeadline := ctx.Deadline()
	if c == nil || c.admitted > 0 || j.Name != c.wire || j.Room != "" || j.Value != nil || hasDeadline != (s.cfg.handshake > 0) {
		s.strange = fmt.Sprintf("%+v to decide on", j)
		return errUnwanted
	}
	c.admitted++
	j.Name, j.Room, _ = strings.Cut(j.Name, atRoom)
	j.Value = c.number
	if c.character.when != admitting {
		return nil
	}
	if c.character.does == fails {
		c.verdict = errUnwanted
		c.words = s.program.appendUnit(nil, c.number, 50)
		s.inHookLocked(c, func() {
			_ = j.Conn.SetWriteDeadline(time.Now().Add(hookTime)) // fails only when the connection has ended
			_, _ = j.Conn.Write(c.words)                          // if the peer takes them
			_ = j.Conn.SetWriteDeadline(time.Time{})
		})
		return errUnwanted
	}
	return s.doLocked(ctx, c, nil)
}

func (s *simulation) onJoin(ctx context.Context, m chatroom.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.admitted != 1 || c.name != m.Name || m.Value != any(c.number) || m.Room() != s.live(c.room) || m.JoinedAt.Before(c.opened) {
		s.strange = fmt.Sprintf("the join of %v", m)
		return
	}
	c.joined++
	c.member, c.hi = m, s.mostPublished(c.room)
	s.checkCompany(c)
	if c.character.when == joining {
		_ = s.doLocked(ctx, c, nil) // there is nothing to judge
	}
}

func (s *simulation) onMessage(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.member != m || c.inHook || c.left > 0 || msg.From != m.Name || !bytes.HasPrefix(msg.Body, c.appendBody(nil, c.heard, minBody)) {
		s.strange = fmt.Sprintf("%v to judge %.100q from %q", m, msg.Body, msg.From)
		return errRude
	}
	seq := c.heard
	c.heard++
	if !c.acts(seq) {
		return nil
	}
	return s.doLocked(ctx, c, msg)
}

func (s *simulation) onLeave(ctx context.Context, m chatroom.Member, reason error) {
	st := s.server.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.member != m {
		s.strange = fmt.Sprintf("the leave of %v", m)
		return
	}
	c.left++
	c.reason = reason
	state := c.link.look()
	c.slow = slowFacts{time.Now(), state, int64(st.Bytes - c.loBytes)}
	switch {
	case !state.closed:
		s.strange = fmt.Sprintf("the leave of %v before its connection was closed", c)
	case slices.Contains(m.Room().Members(), m):
		s.strange = fmt.Sprintf("the leave of %v, which is still listed", c)
	}
	if c.character.when == leaving {
		_ = s.doLocked(ctx, c, nil) // there is nothing to judge
	}
}

// inHookLocked runs without the lock what a hook does, and waits for it. s.mu must
// be held.
func (s *simulation) inHookLocked(c *client, do func()) {
	c.inHook = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		c.inHook, s.busyAt = false, time.Now()
	}()
	do()
}

// doLocked does what a hook does for c: its character's deed. A message hook is given
// the message. s.mu must be held.
func (s *simulation) doLocked(ctx context.Context, c *client, msg *chatroom.Message) error {
	switch c.character.does {
	case panics:
		if c.left == 0 {
			c.verdict = chatroom.ErrHookFailed
		}
		panic("the hook of " + c.name)
	case hesitates:
		s.inHookLocked(c, func() { time.Sleep(hookTime) })
		fallthrough
	case fails:
		c.verdict = errRude
		return errRude
	case drops:
		c.drops++
		return fmt.Errorf("not now: %w", chatroom.ErrDrop)
	case changes:
		msg.From, msg.Body = strings.ToUpper(msg.From), slices.Clone(msg.Body)
		if len(msg.Body) > minBody {
			msg.Body[len(msg.Body)-1] = '!'
		}
	case waits:
		return s.waitLocked(ctx, c)
	case broadcasts:
		s.inHookLocked(c, func() { s.say(&say{room: c.room, size: minBody, limit: hookLimit}) })
	case tellsAll:
		s.inHookLocked(c, func() { s.say(&say{except: []*client{c}, size: minBody, limit: hookLimit}) })
	case tellsItself:
		s.inHookLocked(c, func() { s.say(&say{to: c, size: minBody, limit: hookLimit}) })
	case tellsAnother:
		if other := c.neighbour(); other != nil {
			s.inHookLocked(c, func() { s.say(&say{to: other, size: minBody, limit: hookLimit}) })
		}
	case kicksItself:
		s.inHookLocked(c, func() { s.kick(c) })
	case kicksAnother:
		if other := c.neighbour(); other != nil {
			s.inHookLocked(c, func() { s.kick(other) })
		}
	case looks:
		s.inHookLocked(c, s.lookAround)
	case sleeps:
		s.inHookLocked(c, func() { time.Sleep(hookTime) })
	case closes:
		s.endedByHook = true
		s.inHookLocked(c, func() { _ = s.server.Close() }) // never fails
	case shutsDown:
		s.endedByHook = true
		s.wg.Go(func() { s.shutdown(time.Hour) })
	}
	return nil
}

// waitLocked waits for a while, or until the context ends, and returns the context's
// error. s.mu must be held.
func (s *simulation) waitLocked(ctx context.Context, c *client) error {
	c.heeds = true
	s.inHookLocked(c, func() {
		timer := time.NewTimer(hookTime)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	})
	c.heeds = false
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) { // of the handshake; else the connection has ended
		c.verdict = err
	}
	return err
}

// lookAround calls what a hook may call, and waits for none of it for long.
func (s *simulation) lookAround() {
	ctx, cancel := context.WithTimeout(context.Background(), hookTime)
	defer cancel()
	_ = s.server.Flush(ctx) // which has other checks
	for _, r := range s.server.Rooms() {
		for _, m := range r.Members() {
			if m.Room() != r {
				s.mu.Lock()
				s.strange = fmt.Sprintf("%v in another room than its own", m)
				s.mu.Unlock()
			}
		}
	}
	s.server.Stats()
}

// neighbour returns another client that is or was in the room of c, or nil.
// simulation.mu must be held.
func (c *client) neighbour() *client {
	var some []*client
	for _, other := range c.room.clients {
		if other != c && other.joined > 0 && !other.watches {
			some = append(some, other)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[c.number%len(some)]
}

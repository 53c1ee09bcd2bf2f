package chatroomtest

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/chatroom"
)

const (
	// graceLimit is longer than a room waits for its late members.
	graceLimit = 2*time.Second + time.Millisecond

	// tieLimit is longer than it waits for a half that takes nothing at all, which
	// may have had a write under way when that began.
	tieLimit = 61 * time.Second

	// batchLimit is more than a server publishes of one member at once: what it
	// has read, or sixteen messages.
	batchLimit  = 32 << 10
	batchLength = 16
)

// A logged is a message that the observer received: one of the room's sequence.
type logged struct {
	from *simClient
	seq  int
	unit []byte
}

// heldFacts is since when the room has been held, for whom, and since when those
// have taken nothing.
type heldFacts struct {
	holds          uint64
	loose, members int
	since          time.Time
	taken          int64
	still          time.Time
}

// check holds the server against the contract, while nothing moves.
func (s *simulation) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.server.Stats()
	s.checkOrder()
	if s.failed != nil {
		return
	}
	for _, c := range s.clients {
		s.checkReceived(c)
	}
	for _, c := range s.all() {
		s.checkEnded(c, st)
		s.checkTimeouts(c)
		s.checkPublished(c, st)
	}
	s.checkStats(st)
	s.checkPace(st)
	s.checkMembers()
	if s.strange != "" {
		s.fail("hooks to be told what happened", "%s", s.strange)
	}
}

// checkOrder reads what the observer has received, which is the room's one
// sequence: each sender's messages in order, whole, under its own name.
func (s *simulation) checkOrder() {
	for in := s.observer.link.receive(); len(in) > 0; {
		name, rest, ok := cutFrame(in)
		body, rest, ok2 := cutFrame(rest)
		if !ok || !ok2 {
			s.fail("the observer to receive whole messages", "%d bytes that are none: %.200q", len(in), in)
			return
		}
		unit := in[:len(in)-len(rest)]
		in = rest
		from, seq := s.identify(body)
		if from == nil || seq >= len(from.sizes) {
			s.fail("the observer to receive what was sent", "%.100q from %q", body, name)
			return
		}
		if seq != from.published {
			s.fail("message "+strconv.Itoa(from.published)+" of "+from.String()+" to be published next", "message %d", seq)
			return
		}
		if want := from.appendUnit(nil, seq); !bytes.Equal(want, unit) {
			s.fail("the observer to receive "+strconv.Quote(string(want)), "%q", unit)
			return
		}
		from.published++
		s.log = append(s.log, logged{from, seq, unit})
	}
	if s.program.published != len(s.program.sizes) && !s.abrupt() {
		s.fail("the observer to receive every broadcast", "%d of %d", s.program.published, len(s.program.sizes))
	}
}

// identify returns whose message it is, and which of those.
func (s *simulation) identify(body []byte) (from *simClient, seq int) {
	if len(body) < minBody || body[3] != '.' {
		return nil, 0
	}
	number, err := strconv.Atoi(string(body[:3]))
	seq, err2 := strconv.Atoi(string(body[4:minBody]))
	switch {
	case err != nil || err2 != nil || number >= len(s.clients)+2 || number == 1:
		return nil, 0
	case number == 0:
		return s.program, seq
	}
	return s.clients[number-2], seq
}

func cutFrame(in []byte) (payload, rest []byte, ok bool) {
	if len(in) < frameHeaderLen {
		return nil, nil, false
	}
	n, err := strconv.Atoi(strings.TrimRight(string(in[:frameHeaderLen]), " "))
	if err != nil || n < 0 || n > len(in)-frameHeaderLen {
		return nil, nil, false
	}
	return in[frameHeaderLen : frameHeaderLen+n], in[frameHeaderLen+n:], true
}

// checkReceived holds what c has received against the sequence from its join on,
// less its own.
func (s *simulation) checkReceived(c *simClient) {
	link := c.link.look()
	if !link.closed {
		c.settled = link.written
	}
	if out := c.link.receive(); len(out) > 0 {
		if c.joined == 0 {
			s.fail(c.String()+" to receive nothing, since it is no member", "%.200q", out)
			return
		}
		c.got = append(c.got, out...)
	}
	if c.joined == 0 || s.failed != nil {
		return
	}
	if !c.resolved && !s.resolve(c) {
		return
	}
	for {
		for c.next < len(s.log) && s.log[c.next].from == c {
			c.next++
		}
		if c.next == len(s.log) {
			break
		}
		unit := s.log[c.next].unit
		n := min(len(unit), len(c.got))
		if !bytes.Equal(unit[:n], c.got[:n]) {
			s.fail(c.String()+" to receive "+strconv.Quote(string(unit)), "%.300q", c.got)
			return
		}
		if n < len(unit) {
			break
		}
		c.got = c.got[n:]
		c.next++
	}
	if s.abrupt() {
		return // the observer may have been cut off before the others
	}
	if c.next == len(s.log) && len(c.got) > 0 {
		s.fail(c.String()+" to receive nothing more", "%.300q", c.got)
	}
	s.checkKeepsUp(c, link)
}

// resolve finds out where in the sequence c has joined, which is certain only if
// nothing was published meanwhile. It reports false if nothing tells yet.
func (s *simulation) resolve(c *simClient) bool {
	first, last := int(c.lo), min(int(c.hi), len(s.log))
	if first < last && (len(c.got) > 0 || !c.link.look().eager) {
		_, rest, ok := cutFrame(c.got)
		_, rest, whole := cutFrame(rest)
		if !ok || !whole { // or nothing at all, yet
			return false
		}
		unit := c.got[:len(c.got)-len(rest)]
		for i := first; i < last; i++ {
			if bytes.Equal(s.log[i].unit, unit) {
				last = i
			}
		}
	}
	c.next, c.resolved = last, true
	return true
}

// checkKeepsUp says that who reads has everything, whatever the others do.
func (s *simulation) checkKeepsUp(c *simClient, link linkState) {
	if c.left > 0 || c.dead || link.closed || !link.eager || s.failed != nil {
		return
	}
	if c.next < len(s.log) && !s.ending {
		s.fail(c.String()+", which reads, to have received all",
			"%d messages missing, the first of them message %d of %v", len(s.log)-c.next, s.log[c.next].seq, s.log[c.next].from)
		return
	}
	c.loose = false
}

// checkEnded holds the end of a connection against its causes.
func (s *simulation) checkEnded(c *simClient, st chatroom.Stats) {
	link := c.link.look()
	switch {
	case s.failed != nil || c.dead:
		return
	case c.joined > 1 || c.left > c.joined:
		s.fail(c.String()+" to join once at most and to leave at most as often", "%d joins and %d leaves", c.joined, c.left)
		return
	case c.inHook:
		return
	case !link.closed && c.left == 0:
		heldBack := st.Held && c.published < len(c.sizes)
		ends := c.ends || c.name == "jinx" && c.joined > 0
		if ends && !heldBack && !s.ending {
			s.fail(c.String()+" to have ended", "a connection that is open; causes: %v", c.causes)
		}
		if c.named && c.joined == 0 && !c.ends && !s.ending {
			s.fail(c.String()+", whose name is sent, to have joined or to have been refused", "neither; has a join hook not returned?")
		}
		return
	case !link.closed:
		s.fail("the connection of "+c.String()+", which has left, to be closed", "an open one")
		return
	case c.joined > c.left:
		s.fail("the leave of "+c.String()+", whose connection is closed, to be told", "nothing; has a leave hook not returned?")
		return
	case c.viaServe && !c.served:
		s.fail("ServeConn to have returned for "+c.String(), "nothing")
		return
	case c.viaServe && c.joined > 0 && c.servedBy != c.reason:
		s.fail("ServeConn to return what leave hooks are told, "+errorText(c.reason), "%v", c.servedBy)
		return
	}
	c.dead = true
	switch {
	case c.joined > 0:
		s.note("        %v has gone: %s", c, errorText(c.reason))
		s.checkReason(c, c.reason)
	case c.viaServe:
		s.note("        %v is refused: %s", c, errorText(c.servedBy))
		s.checkReason(c, c.servedBy)
	default:
		s.note("        %v is refused", c)
	}
	if c.joined == 0 && len(c.causes) == 0 && !s.handshakeOver(c) {
		s.fail(c.String()+" not to be refused", "a closed connection")
	}
	if c.joined > 0 && c.published < len(c.sizes) && !c.lossy && !s.mayLose(c.reason) {
		s.fail("all that "+c.String()+" had sent to be published, though it left",
			"%d of %d messages, %s", c.published, len(c.sizes), errorText(c.reason))
	}
	if c.joined > 0 && c != s.observer && errors.Is(c.reason, chatroom.ErrServerClosed) && !s.abrupt() {
		if missing := s.missing(c); missing > 0 {
			s.fail(c.String()+" to receive all it was owed before the end", "%d messages missing", missing)
		}
	}
}

// missing returns how many messages c has not received. s.mu must be held.
func (s *simulation) missing(c *simClient) int {
	from := c.next
	if !c.resolved {
		from = min(int(c.hi), len(s.log)) // it has received none
	}
	n := 0
	for _, m := range s.log[from:] {
		if m.from != c {
			n++
		}
	}
	return n
}

// abrupt reports whether the server's end may have cut members off. s.mu must be
// held.
func (s *simulation) abrupt() bool {
	return s.cutShort || slices.ContainsFunc(s.ends, func(e endFacts) bool { return e.err != nil })
}

// mayLose reports whether a member that left like that may have had messages
// unread.
func (s *simulation) mayLose(reason error) bool {
	return errors.Is(reason, chatroom.ErrSlowConsumer) || errors.Is(reason, os.ErrDeadlineExceeded)
}

func errorText(err error) string {
	if err == nil {
		return "a clean goodbye"
	}
	return err.Error()
}

// checkReason says whether what the program was told is what happened.
func (s *simulation) checkReason(c *simClient, reason error) {
	late := errors.Is(reason, os.ErrDeadlineExceeded)
	switch {
	case errors.Is(reason, chatroom.ErrSlowConsumer) && late:
		link := c.slow.link
		if s.cfg.write > 0 && link.starving && c.slow.at.Sub(link.hungry) >= s.cfg.write {
			return
		}
	case errors.Is(reason, chatroom.ErrSlowConsumer):
		if c.loose && c.slow.bytes-c.settled > int64(s.cfg.backlog) {
			return
		}
	case late && c.joined == 0:
		if s.handshakeOver(c) {
			return
		}
	case late:
		if s.cfg.idle > 0 && c.slow.at.Sub(c.slow.link.readSince) >= s.cfg.idle {
			return
		}
	}
	for _, want := range c.causes {
		switch {
		case want.text != "":
			if reason != nil && strings.Contains(reason.Error(), want.text) {
				return
			}
		case want.is == nil:
			if reason == nil {
				return
			}
		case errors.Is(reason, want.is):
			return
		}
	}
	s.fail(c.String()+" to end for one of the causes, or for a timeout that is over", "%s; causes: %v", errorText(reason), c.causes)
}

func (s *simulation) handshakeOver(c *simClient) bool {
	return s.cfg.handshake > 0 && time.Since(c.opened) >= s.cfg.handshake
}

// checkTimeouts says that nobody has been waited for longer than the options
// allow.
func (s *simulation) checkTimeouts(c *simClient) {
	link := c.link.look()
	switch {
	case s.failed != nil || c.dead || c.inHook || c == s.observer:
	case c.joined == 0 && s.handshakeOver(c):
		s.fail(c.String()+" to be refused, since its handshake takes too long", "an open connection")
	case s.cfg.write > 0 && link.writing && time.Since(link.hungry) > 2*s.cfg.write:
		s.fail(c.String()+" to be disconnected, since it has taken nothing since "+link.hungry.Sub(s.start).String(), "an open connection")
	case c.joined > 0 && s.cfg.idle > 0 && !s.ending && link.reading && time.Since(link.readSince) > s.cfg.idle:
		s.fail(c.String()+" to be disconnected, since it has been silent since "+link.readSince.Sub(s.start).String(), "an open connection")
	}
}

// checkPublished says that what has been read whole is published, unless the
// room is held.
func (s *simulation) checkPublished(c *simClient, st chatroom.Stats) {
	if s.failed != nil || c.dead || c.joined == 0 || c.inHook || c.lossy || st.Held || s.ending {
		return
	}
	if c.published < len(c.sizes) {
		s.fail("all that "+c.String()+" has sent to be published", "%d of %d messages", c.published, len(c.sizes))
	}
}

package simulation

import (
	"bytes"
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
	from *client
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
func (s *simulation) identify(body []byte) (from *client, seq int) {
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

// headerLen is the length of a frame's header in bytes.
const headerLen = 10

// cutFrame takes a whole frame from in.
func cutFrame(in []byte) (payload, rest []byte, ok bool) {
	if len(in) < headerLen {
		return nil, nil, false
	}
	n, err := strconv.Atoi(strings.TrimRight(string(in[:headerLen]), " "))
	if err != nil || n < 0 || n > len(in)-headerLen {
		return nil, nil, false
	}
	return in[headerLen : headerLen+n], in[headerLen+n:], true
}

// checkReceived holds what c has received against the sequence from its join on,
// less its own.
func (s *simulation) checkReceived(c *client) {
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
func (s *simulation) resolve(c *client) bool {
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
func (s *simulation) checkKeepsUp(c *client, link linkState) {
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

// checkPublished says that what has been read whole is published, unless the
// room is held.
func (s *simulation) checkPublished(c *client, st chatroom.Stats) {
	if s.failed != nil || c.dead || c.joined == 0 || c.inHook || c.lossy || st.Held || s.ending {
		return
	}
	if c.published < len(c.sizes) {
		s.fail("all that "+c.String()+" has sent to be published", "%d of %d messages", c.published, len(c.sizes))
	}
}

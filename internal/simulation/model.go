package simulation

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"example.com/chatroom"
)

// A logged is one message of the room's sequence, as the observer received it.
type logged struct {
	from *client
	seq  int
	unit []byte
}

// check compares the server with the contract, when nothing moves.
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
	s.checkBroadcasts(st)
	for _, c := range s.all() {
		s.checkLink(c)
		s.checkEnded(c, st)
		s.checkTimeouts(c)
		s.checkPublished(c, st)
	}
	s.checkStats(st)
	s.checkPace(st)
	s.checkPurse(st)
	s.checkMembers(st)
	if s.strange != "" {
		s.fail("hooks to be told what happened", "%s", s.strange)
	}
}

// checkOrder reads what the observer has received, which is the room's one
// sequence. It checks that each sender's messages are there in order, whole and
// under the sender's name.
func (s *simulation) checkOrder() {
	for in := s.observer.link.receive(nil); len(in) > 0; {
		name, rest, ok := cutFrame(in)
		body, rest, ok2 := cutFrame(rest)
		switch {
		case (!ok || !ok2) && s.abrupt():
			return // it was cut off in the middle of one
		case !ok || !ok2:
			s.fail("the observer to receive whole messages", "%d bytes that are none: %.200q", len(in), in)
			return
		}
		unit := in[:len(in)-len(rest)]
		in = rest
		from, seq, size := s.identify(body)
		switch {
		case size < 0:
			s.fail("the observer to receive what was sent", "%.100q from %q", body, name)
			return
		case from == s.program && s.broadcasts[seq].observed:
			s.fail(fmt.Sprintf("the observer to receive broadcast %d once", seq), "it again")
			return
		case from == s.program:
			s.broadcasts[seq].observed = true
		case seq != from.published:
			s.fail("message "+strconv.Itoa(from.published)+" of "+from.String()+" to be published next", "message %d", seq)
			return
		}
		if s.want = from.appendUnit(s.want[:0], seq, size); !bytes.Equal(s.want, unit) {
			s.fail("the observer to receive "+strconv.Quote(string(s.want)), "%q", unit)
			return
		}
		from.published++
		s.log = append(s.log, logged{from, seq, unit})
	}
}

// identify returns whose message it is, which of that sender's messages, and its
// size. All are -1 if nobody has sent it.
func (s *simulation) identify(body []byte) (from *client, seq, size int) {
	if len(body) < minBody || body[3] != '.' {
		return nil, 0, -1
	}
	number, err := strconv.Atoi(string(body[:3]))
	seq, err2 := strconv.Atoi(string(body[4:minBody]))
	switch {
	case err != nil || err2 != nil || number < 0 || seq < 0 || number >= len(s.clients)+2 || number == 1:
		return nil, 0, -1
	case number == 0 && seq < len(s.broadcasts):
		return s.program, seq, s.broadcasts[seq].size
	case number == 0:
		return nil, 0, -1
	}
	if from = s.clients[number-2]; seq >= len(from.sizes) {
		return nil, 0, -1
	}
	return from, seq, from.sizes[seq]
}

// headerLen is the length of a frame's header in bytes.
const headerLen = 10

// cutFrame takes one whole frame off in.
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

// checkReceived compares what c has received with the sequence from its join on,
// without c's own messages.
func (s *simulation) checkReceived(c *client) {
	state := c.link.look()
	if !state.closed {
		c.settled = state.written
	}
	c.got = c.link.receive(c.got)
	switch {
	case c.joined == 0 && len(c.got) > 0:
		s.fail(c.String()+" to receive nothing, since it is no member", "%.200q", c.got)
		return
	case c.joined == 0 || s.failed != nil:
		return
	}
	if !c.resolved && !s.resolve(c) {
		return
	}
	got := c.got
	for {
		for c.next < len(s.log) && s.log[c.next].from == c {
			c.next++
		}
		if c.next == len(s.log) {
			break
		}
		unit := s.log[c.next].unit
		n := min(len(unit), len(got))
		if !bytes.Equal(unit[:n], got[:n]) {
			s.fail(c.String()+" to receive "+strconv.Quote(string(unit)), "%.300q", got)
			return
		}
		if n < len(unit) {
			break
		}
		got = got[n:]
		c.next++
	}
	c.got = append(c.got[:0], got...)
	if s.abrupt() {
		return // the observer may have been cut off before the others
	}
	if c.next == len(s.log) && len(c.got) > 0 {
		s.fail(c.String()+" to receive nothing more", "%.300q", c.got)
	}
	s.checkKeepsUp(c, state)
}

// resolve finds out where in the sequence c has joined. That is certain only if
// nothing was published meanwhile. It returns false while nothing tells.
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

// checkKeepsUp checks that a client that reads has everything, whatever the others
// do.
func (s *simulation) checkKeepsUp(c *client, state linkState) {
	if c.left > 0 || c.dead || state.closing || !state.eager || s.failed != nil {
		return
	}
	if c.next < len(s.log) && !s.ending {
		s.fail(c.String()+", which reads, to have received all",
			"%d messages missing, the first of them message %d of %v", len(s.log)-c.next, s.log[c.next].seq, s.log[c.next].from)
		return
	}
	c.loose = false
}

// checkPublished checks that what has been read whole is published, unless the room
// is held.
func (s *simulation) checkPublished(c *client, st chatroom.Stats) {
	state := c.link.look()
	if state.closing || state.replying || s.failed != nil || c.dead || c.joined == 0 || c.inHook || c.lossy || st.Held || s.ending {
		return
	}
	if c.published < len(c.sizes) {
		s.fail("all that "+c.String()+" has sent to be published", "%d of %d messages", c.published, len(c.sizes))
	}
}

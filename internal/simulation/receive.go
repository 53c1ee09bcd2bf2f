package simulation

import (
	"bytes"
	"fmt"
	"strconv"
)

// checkReceived compares what c has received with its room's sequence from its join
// on, or from the history's beginning, without what is not for c, and with what is for
// c alone.
func (s *simulation) checkReceived(c *client) {
	state := c.link.look()
	if !state.closed {
		c.settled = state.written
	}
	c.got = c.link.receive(c.got)
	switch {
	case c.free:
		c.got = nil
		return
	case c.joined == 0:
		s.checkWords(c)
		return
	case s.failed != nil:
		return
	case !c.resolved && !s.resolve(c):
		for unit := cutUnit(c.got); s.failed == nil && unit != nil && s.receivePrivate(c, unit); unit = cutUnit(c.got) {
			c.got = c.got[len(unit):]
		}
		return
	}
	all := c.got
	for s.receive(c) {
	}
	c.got = append(all[:0], c.got...)
	if s.abrupt() {
		return // the watcher may have been cut off before the others
	}
	s.checkPart(c)
	s.checkKeepsUp(c, state)
}

// receive takes one whole message off what c has received, and checks that it is the
// next one that c is to receive. It returns false if there is none.
func (s *simulation) receive(c *client) bool {
	c.pass()
	unit := cutUnit(c.got)
	if unit == nil || s.failed != nil {
		return false
	}
	log := c.room.log
	_, most := c.owed()
	if c.next < len(log) && bytes.Equal(log[c.next].unit, unit) {
		m := &log[c.next]
		if c.next >= most {
			s.fail(c.String()+" to receive nothing that was published after it had left", "%.200q", unit)
		}
		if m.say != nil {
			s.checkBegan(&c.lastBegan, m.say, c)
		} else {
			c.lastBegan = max(c.lastBegan, m.from.sentAt[m.seq])
		}
		c.next++
	} else if !s.receivePrivate(c, unit) {
		return false
	}
	c.got = c.got[len(unit):]
	return true
}

// receivePrivate checks a message that is not the next one of the room's sequence.
func (s *simulation) receivePrivate(c *client, unit []byte) bool {
	log := c.room.log
	_, b, seq, size := s.identify(unit)
	switch {
	case size < 0 || b == nil || b.to != c:
		if s.abrupt() {
			return false
		}
		want := "nothing more"
		if c.next < len(log) {
			want = strconv.Quote(string(log[c.next].unit))
		}
		s.fail(c.String()+" to receive "+want, "%.300q", unit)
		return false
	case b.got:
		s.fail(fmt.Sprintf("%v to receive %v once", c, b), "it again")
	case c.resolved && c.next < len(log) && log[c.next].seenAt < b.began:
		s.fail(fmt.Sprintf("%v to receive %v after what was published before", c, b), "it first")
	case !bytes.Equal(unit, s.program.appendUnit(nil, seq, size)):
		s.fail(fmt.Sprintf("%v to receive %v", c, b), "%.200q", unit)
	}
	b.got = true
	s.checkBegan(&c.lastBegan, b, c)
	return s.failed == nil
}

// pass moves on to the next message of the log that is for c.
func (c *client) pass() {
	for log := c.room.log; c.next < len(log) && !log[c.next].isFor(c); {
		c.next++
	}
}

// checkPart checks that the part of a message that c has received last is one of a
// message that it may receive.
func (s *simulation) checkPart(c *client) {
	if len(c.got) == 0 || s.failed != nil {
		return
	}
	log := c.room.log
	if c.next < len(log) && bytes.HasPrefix(log[c.next].unit, c.got) {
		return
	}
	for _, b := range c.told {
		if !b.got && bytes.HasPrefix(s.program.appendUnit(nil, b.seq, b.size), c.got) {
			return
		}
	}
	s.fail(c.String()+" to receive nothing more, or the next message", "%.300q", c.got)
}

// checkWords checks that c, which is no member, has received nothing but what an admit
// hook has sent it.
func (s *simulation) checkWords(c *client) {
	if s.failed != nil {
		return
	}
	if len(c.got) > 0 && !bytes.HasPrefix(c.words, c.got) {
		s.fail(fmt.Sprintf("%v to receive only %q, since it is no member", c, c.words), "%.200q", c.got)
	}
}

// checkKeepsUp checks that a client that reads has everything, whatever the others do.
func (s *simulation) checkKeepsUp(c *client, state linkState) {
	if c.left > 0 || c.dead || state.closing || !state.eager || s.failed != nil || c.isKicked() {
		return
	}
	if missing, first := s.missing(c); missing > 0 && !s.ending {
		s.fail(c.String()+", which reads, to have received all", "%d messages missing, the first of them %s", missing, first)
		return
	}
	c.loose = false
}

// missing returns how many messages c has not received, and describes the first of
// them. s.mu must be held.
func (s *simulation) missing(c *client) (n int, first string) {
	if c.free {
		return 0, ""
	}
	log := c.room.log
	owed, _ := c.owed()
	from := c.next
	if !c.resolved {
		from = min(c.hi, len(log)) // it has received none
	}
	for i := from; i < owed; i++ {
		if m := &log[i]; m.isFor(c) {
			if n++; n == 1 {
				first = fmt.Sprintf("message %d of %v", m.seq, m.from)
			}
		}
	}
	for _, b := range c.told {
		if b.ended > 0 && b.err == nil && !b.got {
			if n++; n == 1 {
				first = b.String()
			}
		}
	}
	return n, first
}

package simulation

import (
	"bytes"
	"fmt"
	"time"

	"example.com/chatroom"
)

// historyStart returns where in the log the history begins that a newcomer receives
// who joins after the first n messages, at the earliest and at the latest. It has as
// many messages as the option allows, and at most half a backlog's bytes, unless the
// last message alone has more. Private text, of which the model does not know the
// place, takes up bytes as well. s.mu must be held.
func (s *simulation) historyStart(rm *room, n int) (earliest, latest int) {
	earliest, latest = n, n
	size, private := 0, rm.privateBytes+rm.slack
	for i := n - 1; i >= 0 && n-i <= s.cfg.history; i-- {
		size += len(rm.log[i].unit)
		alone := i == n-1 // and trimmed only if something follows
		if size <= s.cfg.backlog/2 || alone {
			earliest = i
		}
		if size+private <= s.cfg.backlog/2 || alone && private == 0 {
			latest = i
		}
	}
	return earliest, latest
}

// checkHistory checks that the history that c has received begins where it has to, if
// c has joined after at least from and at most to messages. s.mu must be held.
func (s *simulation) checkHistory(c *client, start, from, to int) {
	if s.failed != nil {
		return
	}
	for n := from; n <= to; n++ {
		if earliest, latest := s.historyStart(c.room, n); earliest <= start && start <= latest {
			return
		}
	}
	earliest, latest := s.historyStart(c.room, from)
	s.fail(fmt.Sprintf("%v to receive the last %d messages of the first %d to %d, so to begin with message %d to %d",
		c, s.cfg.history, from, to, earliest, latest), "message %d", start)
}

// resolve finds out where in the log c begins to receive. That is certain only if
// nothing was published while it joined. It returns false while nothing tells. s.mu
// must be held.
func (s *simulation) resolve(c *client) bool {
	log := c.room.log
	to := min(c.hi, len(log))
	first, _ := s.historyStart(c.room, min(c.lo, to))
	_, last := s.historyStart(c.room, to)
	if first < last {
		unit := s.firstPublic(c)
		if unit == nil && (len(c.got) > 0 || !c.link.look().eager) {
			return false // or not yet
		}
		for i := first; unit != nil && i < last; i++ {
			if bytes.Equal(log[i].unit, unit) {
				last = i
			}
		}
	}
	c.next, c.resolved = last, true
	s.checkHistory(c, last, min(c.lo, to), to)
	return s.failed == nil
}

// firstPublic returns the first whole message that c has received and that is not for
// c alone, or nil.
func (s *simulation) firstPublic(c *client) []byte {
	for _, unit := range cutUnits(c.got) {
		if _, b, _, _ := s.identify(unit); b == nil || b.to == nil {
			return unit
		}
	}
	return nil
}

// arrive notes what the watcher has received when it came: first the history of the
// room, and what was published meanwhile. s.mu must be held.
func (s *simulation) arrive(rm *room) {
	w := rm.watcher
	if w.arrived || w.joined == 0 {
		return
	}
	w.arrived = true
	st := s.live(rm).Stats()
	units := cutUnits(w.link.receive(nil))
	known, _ := s.counts(rm)
	fresh := known > 0 && s.cfg.history == 0 && rm.name != "" && st.Messages == uint64(len(units))
	rm.emptyFrom, rm.emptyTo = time.Time{}, time.Time{}
	rm.held, rm.purse = heldFacts{}, purse{at: time.Now(), held: st.HoldTime}
	if fresh || rm.lost {
		lost := rm.lost
		s.endLife(rm)
		rm.purse = purse{at: time.Now(), held: st.HoldTime}
		if lost {
			s.adopt(rm, units, st)
			return
		}
	}
	s.checkArrival(rm, units)
}

// adopt takes what a watcher receives first for the truth. s.mu must be held.
func (s *simulation) adopt(rm *room, units [][]byte, st chatroom.RoomStats) {
	rm.missed, rm.missedBytes, rm.slack = st.Messages, st.Bytes, s.cfg.backlog
	for _, unit := range units {
		from, b, seq, size := s.identify(unit)
		if from == nil || size < 0 || b != nil && b.to != nil {
			s.fail("a history of what was said to all", "%.200q", unit)
			return
		}
		rm.log = append(rm.log, logged{from, b, seq, unit, s.clock})
		rm.missed--
		rm.missedBytes -= uint64(len(unit))
	}
}

// checkArrival compares what a watcher receives first with the end of the log. s.mu
// must be held.
func (s *simulation) checkArrival(rm *room, units [][]byte) {
	known := len(rm.log)
	start := known
	if len(units) > 0 {
		for i := range rm.log {
			if bytes.Equal(rm.log[i].unit, units[0]) {
				start = i
				break
			}
		}
	}
	for i := start; i < known; i++ {
		if len(units) == 0 || !bytes.Equal(units[0], rm.log[i].unit) {
			s.fail("a history without a gap in room "+fmt.Sprintf("%q", rm.name), "%.200q instead of %.200q", units, rm.log[i].unit)
			return
		}
		units = units[1:]
	}
	// What nobody has seen so far comes next. A history may begin after some of it.
	seen := make(map[int]bool)
	for _, unit := range units {
		if _, b, _, _ := s.identify(unit); b != nil {
			seen[b.seq] = true
		}
	}
	unseen := rm.unseen
	rm.unseen = nil
	for _, b := range unseen {
		if !seen[b.seq] {
			b.hits = append(b.hits, hit{rm, rm.life})
			rm.log = append(rm.log, logged{s.program, b, b.seq, s.program.appendUnit(nil, b.seq, b.size), s.clock})
			if start < known {
				s.fail("a history without a gap in room "+fmt.Sprintf("%q", rm.name), "none of %v", b)
				return
			}
		}
	}
	if start == known {
		start = len(rm.log)
	}
	for _, unit := range units {
		s.publish(rm, unit)
	}
	s.checkHistory(rm.watcher, start, known+len(unseen), len(rm.log))
}

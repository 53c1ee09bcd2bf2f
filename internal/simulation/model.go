package simulation

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check compares the server with the contract, when nothing moves.
func (s *simulation) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	if slices.ContainsFunc(s.all(), func(c *client) bool { return c.inHook }) {
		s.busyAt = time.Now()
	}
	st := s.server.Stats()
	for _, rm := range s.rooms {
		if s.failed == nil && rm.watcher != nil && !rm.lost {
			s.checkOrder(rm)
		} else if s.failed == nil && rm.watcher != nil && !rm.watcher.arrived {
			s.arrive(rm)
		}
	}
	if s.failed != nil {
		return
	}
	for _, c := range s.clients {
		if !c.watches {
			s.checkReceived(c)
		}
	}
	for _, c := range s.all() {
		s.checkLink(c)
		s.checkKicked(c)
		s.checkEnded(c)
		s.checkTimeouts(c)
		s.checkPublished(c)
	}
	s.checkSays()
	s.checkStats(st)
	for _, rm := range s.rooms {
		if rm.isWatched() && !rm.lost {
			s.checkRoom(rm)
		}
	}
	s.checkMembers(st)
	s.checkRooms()
	if s.strange != "" {
		s.fail("hooks to be told what happened, and calls to do what they have to", "%s", s.strange)
	}
}

// checkOrder reads what the room's watcher has received, which is the room's one
// sequence.
func (s *simulation) checkOrder(rm *room) {
	if s.arrive(rm); !rm.watcher.arrived {
		return
	}
	in := rm.watcher.link.receive(nil)
	units := cutUnits(in)
	for _, unit := range units {
		if s.failed != nil {
			return
		}
		s.publish(rm, unit)
		in = in[len(unit):]
	}
	if len(in) > 0 && !s.abrupt() { // or it was cut off in the middle of one
		s.fail(rm.watcher.String()+" to receive whole messages", "%d bytes that are none: %.200q", len(in), in)
	}
}

// publish notes the next message of the room's sequence. It checks that each sender's
// messages are there in order, whole and under the sender's name, and that what had
// returned comes before what began later.
func (s *simulation) publish(rm *room, unit []byte) {
	from, b, seq, size := s.identify(unit)
	where := hit{rm, rm.life}
	switch {
	case size < 0:
		s.fail("room "+strconv.Quote(rm.name)+" to publish what was sent", "%.100q", unit)
		return
	case b != nil && (b.to != nil || b.room != nil && b.room != rm):
		s.fail(fmt.Sprintf("%v not to be published in room %q", b, rm.name), "it")
		return
	case b != nil && slices.Contains(b.hits, where):
		s.fail(b.String()+" to be published once", "it again")
		return
	case b != nil:
		b.hits = append(b.hits, where)
		s.checkBegan(&rm.lastBegan, b, rm.watcher)
	case from.room != rm:
		s.fail(from.String()+" to be heard in its room", "it in room %q", rm.name)
		return
	default:
		s.checkNext(from, seq)
		rm.lastBegan = max(rm.lastBegan, from.sentAt[seq])
	}
	if s.want = from.appendUnit(s.want[:0], seq, size); s.failed == nil && !bytes.Equal(s.want, unit) {
		s.fail(rm.watcher.String()+" to receive "+strconv.Quote(string(s.want)), "%q", unit)
	}
	rm.log = append(rm.log, logged{from, b, seq, unit, s.clock})
}

// checkNext checks that message seq of from is the next to be published.
func (s *simulation) checkNext(from *client, seq int) {
	from.skipDropped()
	switch {
	case seq != from.published:
		s.fail("message "+strconv.Itoa(from.published)+" of "+from.String()+" to be published next", "message %d", seq)
	case from.fateOf(seq) == final:
		s.fail(fmt.Sprintf("message %d of %v not to be published, because of a hook", seq, from), "it")
	case from.mute >= 0 && seq >= from.mute:
		s.fail(from.String()+" not to be published any more, since it was kicked", "message %d", seq)
	}
	from.published++
}

// checkBegan checks that b had not returned before something began that c has received
// already. It moves lastBegan.
func (s *simulation) checkBegan(lastBegan *int, b *say, c *client) {
	if b.ended > 0 && b.ended < *lastBegan {
		s.fail(fmt.Sprintf("%v to receive %v before what began later", c, b), "it afterwards")
	}
	*lastBegan = max(*lastBegan, b.began)
}

// identify returns whose message a unit is, which of that sender's messages, and its
// size; b is set if it is the program's. The size is negative if nobody has sent it.
func (s *simulation) identify(unit []byte) (from *client, b *say, seq, size int) {
	_, rest, _ := cutFrame(unit)
	body, _, ok := cutFrame(rest)
	if !ok || len(body) < minBody || body[3] != '.' {
		return nil, nil, 0, -1
	}
	number, err := strconv.Atoi(string(body[:3]))
	seq, err2 := strconv.Atoi(string(body[4:minBody]))
	switch {
	case err != nil || err2 != nil || number < 0 || seq < 0 || number >= len(s.clients)+2 || number == 1:
		return nil, nil, 0, -1
	case number == 0 && seq < len(s.says):
		return s.program, s.says[seq], seq, s.says[seq].size
	case number == 0:
		return nil, nil, 0, -1
	}
	if from = s.clients[number-2]; seq >= len(from.sizes) {
		return nil, nil, 0, -1
	}
	return from, nil, seq, from.sizes[seq]
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

// cutUnit takes one whole message off in: a name and a text. It is nil if there is
// none.
func cutUnit(in []byte) (unit []byte) {
	_, rest, _ := cutFrame(in)
	if _, rest, ok := cutFrame(rest); ok {
		return in[:len(in)-len(rest)]
	}
	return nil
}

// cutUnits returns the whole messages at the beginning of in.
func cutUnits(in []byte) (units [][]byte) {
	for unit := cutUnit(in); unit != nil; unit = cutUnit(in) {
		units = append(units, unit)
		in = in[len(unit):]
	}
	return units
}

// checkPublished checks that what has been read whole is published, unless the room
// is held.
func (s *simulation) checkPublished(c *client) {
	state := c.link.look()
	if state.closing || state.replying || s.failed != nil || c.dead || c.joined == 0 || c.inHook || c.isLossy() || c.free || s.ending {
		return
	}
	if c.hasUnpublished() && !s.live(c.room).Stats().Held {
		s.fail("all that "+c.String()+" has sent to be published", "%d of %d messages", c.published, len(c.sizes))
	}
}

// isLossy reports whether the server may not publish all that c has sent.
// simulation.mu must be held.
func (c *client) isLossy() bool { return c.lossy || c.verdict != nil || len(c.kicks) > 0 }

// checkRoom compares the figures of a room with its log, and checks its pace.
func (s *simulation) checkRoom(rm *room) {
	if s.failed != nil {
		return
	}
	st := s.live(rm).Stats()
	want := st
	want.Messages, want.Bytes = s.counts(rm)
	if st != want && rm.watcher.left == 0 {
		s.fail(fmt.Sprintf("figures %+v of room %q", want, rm.name), "%+v", st)
	}
	s.checkPace(rm, st)
	s.checkPurse(rm, st)
}

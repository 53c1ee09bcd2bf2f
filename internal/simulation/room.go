package simulation

import (
	"fmt"
	"math"
	"time"

	"example.com/chatroom"
)

// emptyLimit is how long a room with a history is kept once it is empty.
const emptyLimit = time.Minute

// A room is the model's idea of a room. A client that reads everything watches it,
// and so knows its one sequence, which is the log. The room "" is always watched.
// Another room is watched whenever somebody is in it. It has several lives if it
// vanishes and is made anew. simulation.mu guards the fields below name.
type room struct {
	name string

	life    int       // how many lives it has had
	watcher *client   // nil while nobody watches
	clients []*client // that are on their way here, in it, or have gone
	log     []logged
	unseen  []*say // published after the log, while nobody watched, in the order in which they returned
	lost    bool   // what the log ends in is not known, because the watcher has left with others

	privates     int // messages of this life to one member alone
	privateBytes int
	missed       uint64 // messages of this life that the model does not know
	missedBytes  uint64
	slack        int // bytes of these that may take up room in the history

	emptyFrom, emptyTo time.Time // when it became empty, at the earliest and at the latest; zero for not yet
	lastBegan          int       // when the latest of the log began, on simulation.clock
	held               heldFacts
	purse              purse
}

// A logged is one message of the room's sequence, as the watcher received it.
type logged struct {
	from   *client
	say    *say // if it is the program's
	seq    int
	unit   []byte
	seenAt int // by then it was published, on simulation.clock
}

// isFor reports whether c, which is in the room, receives the message.
func (m *logged) isFor(c *client) bool {
	if m.from == c {
		return false
	}
	if m.say != nil {
		for _, other := range m.say.except {
			if other == c {
				return false
			}
		}
	}
	return true
}

// A presence says whether a room exists.
type presence byte

const (
	absent presence = iota
	present
	unsure // somebody comes or goes
)

// live returns the handle on a room.
func (s *simulation) live(rm *room) chatroom.Room { return s.server.Room(rm.name) }

// isWatched reports whether the watcher is in the room and stays for now.
// simulation.mu must be held.
func (rm *room) isWatched() bool {
	return rm.watcher != nil && rm.watcher.joined > 0 && rm.watcher.left == 0 && rm.emptyFrom.IsZero()
}

// isDeserted reports whether nobody is in the room, nor on the way there.
// simulation.mu must be held.
func (rm *room) isDeserted() bool {
	for _, c := range rm.clients {
		if !c.dead {
			return false
		}
	}
	return true
}

// presence returns whether the room exists. s.mu must be held.
func (s *simulation) presence(rm *room) presence {
	since := time.Since(rm.emptyTo)
	switch {
	case rm.name == "" || rm.isWatched():
		return present
	case !rm.isDeserted():
		return unsure
	case s.cfg.history == 0 || rm.emptyTo.IsZero() || since > emptyLimit:
		return absent
	case time.Since(rm.emptyFrom) < emptyLimit:
		return present
	}
	return unsure
}

// mostPublished returns how many messages may be in the room's log at most, those
// that the model has not seen yet included. s.mu must be held.
func (s *simulation) mostPublished(rm *room) int {
	privates := rm.privates // that have returned, so that they are among the messages
	most := int(s.live(rm).Stats().Messages-rm.missed) - privates
	if most < len(rm.log) {
		return math.MaxInt // the room has gone with the server
	}
	return most
}

// counts returns how many messages the room has published in this life, and their
// bytes. s.mu must be held.
func (s *simulation) counts(rm *room) (messages, size uint64) {
	messages = rm.missed + uint64(len(rm.log)+len(rm.unseen)+rm.privates)
	size = rm.missedBytes + uint64(rm.privateBytes)
	for _, m := range rm.log {
		size += uint64(len(m.unit))
	}
	for _, b := range rm.unseen {
		size += uint64(len(s.program.appendUnit(nil, b.seq, b.size)))
	}
	return messages, size
}

// endLife forgets a room that has vanished, but not who is in it or on the way there.
// s.mu must be held.
func (s *simulation) endLife(rm *room) {
	messages, size := s.counts(rm)
	s.pastMessages += messages
	s.pastBytes += size
	s.blurred = s.blurred || rm.lost
	now := room{name: rm.name, life: rm.life + 1, watcher: rm.watcher}
	for _, c := range rm.clients {
		if c.dead {
			c.free = true // it is judged already, and its log is gone
		} else {
			now.clients = append(now.clients, c)
		}
	}
	*rm = now
}

// checkRooms finds out which rooms have become empty, or have vanished, and compares
// the server's list with that. s.mu must be held.
func (s *simulation) checkRooms() {
	for _, rm := range s.rooms {
		if rm.name == "" || !rm.isDeserted() {
			continue
		}
		if rm.watcher != nil {
			for _, c := range rm.clients {
				if c.left > 0 && c.slow.at.After(rm.emptyTo) {
					rm.emptyTo = c.slow.at
				}
			}
			if rm.watcher = nil; rm.emptyFrom.IsZero() {
				rm.emptyFrom = rm.emptyTo
			}
		}
		if !rm.emptyTo.IsZero() && (s.cfg.history == 0 || s.ending || time.Since(rm.emptyTo) >= emptyLimit) {
			s.endLife(rm)
		}
	}
	if s.failed != nil || s.ending {
		return
	}
	listed := make(map[string]bool)
	last := ""
	for i, r := range s.server.Rooms() {
		if name := r.Name(); i > 0 && name <= last {
			s.fail("rooms sorted by name", "%q after %q", name, last)
		}
		last = r.Name()
		listed[last] = true
	}
	for _, rm := range s.rooms {
		if there := s.presence(rm); there != unsure && listed[rm.name] != (there == present) {
			s.fail(fmt.Sprintf("room %q to be %s", rm.name, either(there == present, "there", "gone")), "%v", listed)
		}
	}
}

package natsroom

import (
	"fmt"
	"time"
)

// Peers are the servers of an order, as their beats tell. Ages go by the engine's clock, which
// stamps what the stream takes, so that old beats do not seem new to whoever reads them late.
type peers struct {
	expiry time.Duration // after which a server is not counted that is not heard

	all   map[uint64]*peer
	now   time.Time // the latest stamp
	at    time.Time // when it was read
	paced bool      // publishing waits, because servers with more than half of all members are far behind
}

type peer struct {
	beat
	heard time.Time // the stamp of its last message
}

func newPeers(expiry time.Duration) peers {
	return peers{expiry: expiry, all: make(map[uint64]*peer)}
}

// tick tells what time the engine has.
func (p *peers) tick(stamp, at time.Time) {
	if stamp.After(p.now) {
		p.now, p.at = stamp, at
	}
}

// hear takes note of a message of that stamp, and of the beat if it is one. It reports whether
// the server was not known before, or is no more. A message that is older than p.expiry says
// nothing of now.
func (p *peers) hear(e envelope, b *beat, stamp, at time.Time) (came, gone bool) {
	known := p.all[e.incarnation]
	switch {
	case b != nil && b.bye:
		delete(p.all, e.incarnation)
		return false, known != nil
	case p.engineNow(at).Sub(stamp) > p.expiry, known == nil && b == nil, known != nil && stamp.Before(known.heard):
		return false, false
	case known == nil:
		known, came = &peer{}, true
		p.all[e.incarnation] = known
	}
	if b != nil {
		known.beat = *b
	}
	known.heard = stamp
	return came, false
}

// expire forgets the servers that have not been heard for so long, and returns them.
func (p *peers) expire(at time.Time) (gone []uint64) {
	for incarnation, known := range p.all {
		if p.engineNow(at).Sub(known.heard) > p.expiry {
			delete(p.all, incarnation)
			gone = append(gone, incarnation)
		}
	}
	return gone
}

// engineNow returns what time it is by the engine's clock, about.
func (p *peers) engineNow(at time.Time) time.Time { return p.now.Add(at.Sub(p.at)) }

// members returns how many members all servers have, and how many of them are on servers that
// are far behind.
func (p *peers) members() (all, pressed uint64) {
	for _, known := range p.all {
		all += known.members
		if known.pressed {
			pressed += known.members
		}
	}
	return all, pressed
}

// serverName returns what the log calls a server.
func serverName(incarnation uint64) string { return fmt.Sprintf("%016x", incarnation) }

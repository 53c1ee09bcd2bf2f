package natsroom

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/chatroom"
)

// ticksPerBeat is how often the monitor looks between two beats.
const ticksPerBeat = 10

// A monitor is what the monitor's goroutine keeps to itself.
type monitor struct {
	tick      time.Duration
	sinceBeat time.Duration
	pressed   time.Duration     // for how long the server has been far behind because of its members
	leaving   []chatroom.Member // who is being disconnected after an outage
	gone      int               // how many of them were
}

// runMonitor has beats published, and does what follows when they do not come back. It ends
// with the order. It never touches the connection, which may block while the engine is away.
func (o *Order) runMonitor() {
	m := monitor{tick: max(o.cfg.beat/ticksPerBeat, time.Millisecond)}
	m.sinceBeat = o.cfg.beat // the first one is due
	ticker := time.NewTicker(m.tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		o.lookAfter(&m, min(time.Since(last), 2*m.tick)) // a process that was stopped has not waited
		last = time.Now()
		select {
		case <-ticker.C:
		case <-o.ctx.Done():
			return
		}
	}
}

// lookAfter does what is due after a time has passed.
func (o *Order) lookAfter(m *monitor, passed time.Duration) {
	m.sinceBeat += passed
	isBeat := m.sinceBeat >= o.cfg.beat
	members := 0
	if isBeat {
		m.sinceBeat = 0
		members = o.server.Stats().Members
	}
	o.mu.Lock()
	if isBeat {
		o.counts.members = members
		o.beatDue = true
		signal(o.work)
	}
	if m.pressed += passed; !o.busy || !o.pressedLocked() {
		m.pressed = 0
	}
	if !o.busy {
		before := o.health.silent
		o.health.pass(passed)
		if patience := 2 * o.cfg.beat; before/patience < o.health.silent/patience {
			signal(o.nudge) // the reader may be stuck, whatever the library says
		}
	}
	for _, incarnation := range o.peers.expire(time.Now()) {
		o.log.Info("server gone", "server", serverName(incarnation))
	}
	o.paceLocked()
	o.moveLocked()
	state, left := o.state, o.health.left()
	hurry := m.pressed > 2*o.cfg.beat && !o.peers.paced // by when all servers know of it
	o.mu.Unlock()
	o.disconnectSome(m, state, left)
	if hurry {
		o.evict()
	}
}

// moveLocked moves the order to the state that its health has. o.mu must be held.
func (o *Order) moveLocked() {
	to := o.health.state()
	if o.state == Closed || o.state == to {
		return
	}
	level := slog.LevelWarn
	if to == InOrder {
		level = slog.LevelInfo
	}
	o.log.Log(o.ctx, level, "state", "from", o.state.String(), "to", to.String(), "silent", o.health.silent)
	o.state = to
	o.passTurnLocked()
}

// heardLocked tells that the server is in order. o.mu must be held.
func (o *Order) heardLocked() {
	o.health.heard()
	o.moveLocked()
}

// disconnectSome disconnects a part of the members, as long as the server is leaving, so that
// they do not all go to another server at the same time.
func (o *Order) disconnectSome(m *monitor, state State, left float64) {
	switch state {
	case Leaving:
		if m.leaving == nil {
			m.leaving, m.gone = o.server.Members(), 0
		}
	case Out:
		m.leaving, m.gone = o.server.Members(), 0 // also those who came in between
		left = 1
	default:
		m.leaving = nil
		return
	}
	for upTo := int(left * float64(len(m.leaving))); m.gone < upTo; m.gone++ {
		m.leaving[m.gone].Kick(fmt.Errorf("natsroom: %v: %w", state, chatroom.ErrUnavailable))
	}
}

// evict disconnects the members of rooms that are held, since the stream does not wait for this
// server: it is further behind than half of what the stream keeps.
func (o *Order) evict() {
	for _, r := range o.server.Rooms() {
		if !r.Stats().Held {
			continue
		}
		members := r.Members()
		o.log.Warn("evicted", "room", r.Name(), "members", len(members))
		for _, m := range members {
			m.Kick(chatroom.ErrSlowConsumer)
		}
	}
}

// beatLocked returns the beat that is due. o.mu must be held.
func (o *Order) beatLocked() beat {
	return beat{members: uint64(o.counts.members), behind: o.at.behind(), pressed: o.pressedLocked()}
}

// behind returns how many messages of the stream are not read.
func (p *position) behind() uint64 { return p.last - min(p.cursor, p.last) }

// pressedLocked reports whether the reader is further behind than half of what the stream
// keeps. o.mu must be held.
func (o *Order) pressedLocked() bool {
	p := &o.at
	behind := p.behind()
	if behind == 0 {
		return false
	}
	kept := p.last - min(p.first, p.last) + 1
	isLong := p.maxBytes > 0 && float64(p.bytes)*float64(behind)/float64(kept) > float64(p.maxBytes)/2
	isOld := p.maxAge > 0 && o.peers.engineNow(time.Now()).Sub(p.readAt) > p.maxAge/2
	return isLong || isOld
}

// paceLocked decides whether publishing waits for servers that are far behind. o.mu must be held.
func (o *Order) paceLocked() {
	all, pressed := o.peers.members()
	paced := 2*pressed > all
	if paced == o.peers.paced {
		return
	}
	o.peers.paced = paced
	o.log.Info("pace", "waits", paced, "members", all, "pressed", pressed)
	o.passTurnLocked()
}

// sendPace tells the others past the stream how far behind the server is, since who is far
// behind reads the stream late.
func (o *Order) sendPace() {
	o.mu.Lock()
	b := o.beatLocked()
	o.mu.Unlock()
	_ = o.nc.Publish(o.subjects.pace, b.append(envelope{kindBeat, o.incarnation, 1}.append(nil))) // the next may arrive
}

// hearPace is the callback for what sendPace sends.
func (o *Order) hearPace(m *nats.Msg) {
	e, body, err := decodeEnvelope(m.Data)
	if err != nil || e.kind != kindBeat {
		return
	}
	b, err := decodeBeat(body)
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.hearLocked(e, &b, o.peers.engineNow(now), now)
}

// hearLocked takes note of a message for the list of servers. o.mu must be held.
func (o *Order) hearLocked(e envelope, b *beat, stamp, at time.Time) {
	switch came, gone := o.peers.hear(e, b, stamp, at); {
	case came:
		o.log.Info("server came", "server", serverName(e.incarnation))
	case gone:
		o.log.Info("server gone", "server", serverName(e.incarnation))
	}
	o.paceLocked()
}

// runSurvey asks with every beat how far the stream goes, and whether it is still the same.
// It ends with the order.
func (o *Order) runSurvey() {
	ticker := time.NewTicker(o.cfg.beat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-o.ctx.Done():
			return
		}
		o.sendPace()
		ctx, cancel := context.WithTimeout(o.ctx, o.cfg.ackWait)
		s, err := o.js.Stream(ctx, o.subjects.stream)
		cancel()
		if err != nil {
			continue // whoever reads or publishes notices
		}
		info := s.CachedInfo()
		o.mu.Lock()
		if info.Created.Equal(o.at.created) {
			o.at.learn(info)
		} else {
			signal(o.nudge)
		}
		o.peers.tick(info.State.LastTime, time.Now())
		o.mu.Unlock()
	}
}

// watchConn has the reader begin anew when the connection is back. It ends with the order.
func (o *Order) watchConn() {
	status := o.nc.StatusChanged(nats.CONNECTED)
	defer o.nc.RemoveStatusListener(status)
	for {
		select {
		case _, ok := <-status:
			if !ok {
				return // the connection is closed
			}
			signal(o.nudge)
		case <-o.ctx.Done():
			return
		}
	}
}

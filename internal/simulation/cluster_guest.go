package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/chatroom"
)

// A guest is one connection to a server of a cluster.
type guest struct {
	client // of which only some fields matter here

	// Fixed after construction.
	node  *node
	local *localRoom
	lo    int // messages in the room's log when it connected, at least

	told []*word // in private; guarded by cluster.mu

	// Owned by the run.
	slow      bool // it may have been slow at some time
	kickedAt  int  // when it was thrown out, on cluster.clock; zero if it was not
	kicked    time.Time
	upTo      int  // where in the room's log it receives nothing more, or unknown
	owedAtEnd int  // how many of its messages its server had read when its end began
	arrived   bool // what a watcher has received first was looked at
}

// traits returns those of the link of the guest with that number.
func (cl *cluster) traits(number int) linkTraits {
	traits := cl.cfg.traits
	traits.kind = cl.cfg.kinds[number%len(cl.cfg.kinds)]
	return traits
}

// connect opens a connection to a room, and sends the name.
func (cl *cluster) connect(name string, r *localRoom, traits linkTraits) *guest {
	number := len(cl.guests) + 1
	g := &guest{
		client: client{
			number: number,
			name:   name,
			wire:   name,
			link:   newLink(number, traits),
			opened: time.Now(),
		},
		node:  r.node,
		local: r,
		lo:    len(r.log),
		upTo:  unknown,
	}
	if r.sequence.name != "" {
		g.wire += atRoom + r.sequence.name
	}
	g.free = r.node.losing // nobody knows where it begins
	if r.node.losing {
		g.may(errLost)
		g.lossy = true
	}
	cl.mu.Lock()
	cl.clock++
	g.openedAt = cl.clock
	if r.node.refusing {
		g.may(chatroom.ErrUnavailable)
	}
	cl.byAddr[g.link.remote.String()] = g
	cl.mu.Unlock()
	cl.guests = append(cl.guests, g)
	cl.note("%v connects to %v", g, r)
	g.begin(-1)
	g.finish(len(g.rest), cl.tick())
	if !r.node.listener.offer(g.link.conn()) {
		cl.fail(r.node.String()+" to listen", "its listener closed")
		g.dead = true
	}
	return g
}

// checkReceived compares what g has received with what its room has published on its
// server from its join on, or from the history's beginning, without what is not for g, and
// with what is for g alone. cl.mu must be held.
func (cl *cluster) checkReceived(g *guest) {
	g.got = g.link.receive(g.got)
	if g.joined == 0 {
		if len(g.got) > 0 {
			cl.fail(g.String()+", who is no member, to receive nothing", "%.200q", g.got)
		}
		return
	}
	if !g.resolved && g.node.lostAt > g.openedAt {
		g.free = true
	}
	if g.kickedAt == 0 && g.left == 0 && slices.Contains(g.causes, errLost) && !slices.Contains(g.node.server.Members(), g.member) {
		g.kickedAt, g.kicked, g.upTo = cl.clock, time.Now(), len(g.local.log)
	}
	if g.free {
		g.got = nil
		return
	}
	if !g.local.isWatched() && g.node.phase == running {
		return // until somebody does
	}
	if !g.resolved && !cl.resolve(g) {
		for unit := cutUnit(g.got); unit != nil && cl.receivePrivate(g, unit); unit = cutUnit(g.got) {
			g.got = g.got[len(unit):]
		}
		return
	}
	all := g.got
	for cl.failed == nil {
		unit := cutUnit(g.got)
		if unit == nil || !cl.receive(g, unit) {
			break
		}
		g.got = g.got[len(unit):]
	}
	g.got = append(all[:0], g.got...)
	cl.checkMissing(g)
}

// pass moves on to the next message of the room's log that is for g.
func (g *guest) pass() {
	for r := g.local; g.next < len(r.log) && !r.sequence.log[r.log[g.next]].isFor(g); {
		g.next++
	}
}

// receive checks the next whole message that g has received. cl.mu must be held.
func (cl *cluster) receive(g *guest, unit []byte) bool {
	g.pass()
	r := g.local
	if g.next < len(r.log) && bytes.Equal(r.sequence.log[r.log[g.next]].unit, unit) {
		if g.upTo != unknown && g.next >= g.upTo {
			cl.fail(g.String()+" to receive nothing that was published after it was kicked", "%.200q", unit)
		}
		g.next++
		return true
	}
	return cl.receivePrivate(g, unit)
}

// receivePrivate checks a message that is not the next one of the room's log. cl.mu must
// be held.
func (cl *cluster) receivePrivate(g *guest, unit []byte) bool {
	r := g.local
	key, ok := keyOf(unit)
	var w *word
	if ok && key.number == 0 && key.seq < len(cl.words) {
		w = cl.words[key.seq]
	}
	switch {
	case w == nil || w.to != g:
		if g.node.phase != running { // the watcher may have been cut off before the others
			return false
		}
		if g.resolved {
			want := "nothing more"
			if g.next < len(r.log) {
				want = strconv.Quote(string(r.sequence.log[r.log[g.next]].unit))
			}
			cl.fail(g.String()+" in "+r.String()+" to receive "+want, "%.300q", unit)
		}
		return false
	case w.got:
		cl.fail(fmt.Sprintf("%v to receive %v once", g, w), "it again")
	case g.resolved && g.next < len(r.log) && r.seenAt[g.next] < w.began:
		cl.fail(fmt.Sprintf("%v to receive %v after what was published before", g, w), "it first")
	case !bytes.Equal(unit, cl.program.appendUnit(nil, w.seq, w.size)):
		cl.fail(fmt.Sprintf("%v to receive %v", g, w), "%.200q", unit)
	case g.resolved && w.ended > 0 && cl.passed(g, w):
		cl.fail(fmt.Sprintf("%v to receive %v before what began later", g, w), "it afterwards")
	}
	w.got = true
	return cl.failed == nil
}

// passed reports whether g has received something that was sent after w had returned.
func (cl *cluster) passed(g *guest, w *word) bool {
	if g.next == 0 {
		return false
	}
	e := &g.local.sequence.log[g.local.log[g.next-1]]
	return e.isFor(g) && e.began() > w.ended
}

// checkMissing checks that g, if it reads, has received all that its room has published on
// its server. cl.mu must be held.
func (cl *cluster) checkMissing(g *guest) {
	state := g.link.look()
	if cl.failed != nil || g.left > 0 || g.dead || state.closing || !state.eager || g.kickedAt > 0 || g.node.phase != running {
		return
	}
	g.pass()
	r := g.local
	if g.next < len(r.log) {
		cl.fail(g.String()+", who reads, to have received all that "+r.String()+" has published",
			"nothing of %.100q", r.sequence.log[r.log[g.next]].unit)
	}
	for _, w := range g.told {
		if w.ended > 0 && w.err == nil && !w.got {
			cl.fail(g.String()+", who reads, to have received "+w.String(), "nothing")
		}
	}
}

// checkEnded checks that g has gone if it has to, for a reason that there was, and that its
// leave is told once. cl.mu must be held.
func (cl *cluster) checkEnded(g *guest) {
	state := g.link.look()
	switch {
	case cl.failed != nil || g.dead:
		return
	case g.joined > 1 || g.left > g.joined:
		cl.fail(g.String()+" to join once at most and to leave at most as often", "%d joins and %d leaves", g.joined, g.left)
		return
	case state.misused != "":
		cl.fail("the server to use the connection of "+g.String()+" as it may be used", "%s", state.misused)
		return
	case !state.closed && g.left > 0:
		cl.fail("the connection of "+g.String()+", who has left, to be closed", "an open one")
		return
	case !state.closed:
		cl.checkOpen(g, state)
		return
	case g.joined > g.left && g.node.phase != running:
		return // what others have sent may still be under way
	case g.joined > g.left:
		cl.fail("the leave of "+g.String()+", whose connection is closed, to be told", "nothing")
		return
	}
	g.dead = true
	cl.note("        %v has gone: %s", g, errorText(g.reason))
	switch {
	case g.joined == 0 && len(g.causes) == 0:
		cl.fail(g.String()+" not to be refused", "a closed connection")
	case g.joined > 0:
		cl.checkReason(g)
	}
}

// checkOpen checks that g, who is connected, does not have to have gone. cl.mu must be held.
func (cl *cluster) checkOpen(g *guest, state linkState) {
	switch {
	case g.node.phase != running || state.closing:
	case g.kickedAt > 0 && time.Since(g.kicked) > 2*kickLimit:
		cl.fail(g.String()+", who was thrown out, to have gone", "an open connection")
	case !g.node.calm || !state.eager && state.there:
	case g.joined == 0:
		cl.fail(g.String()+" to have joined", "nothing")
	case g.ends && state.kind == streamLink:
		cl.fail(g.String()+" to have ended", "a connection that is open; causes: %v", g.causes)
	}
}

// checkReason checks that the reason with which g has left is what happened. cl.mu must be
// held.
func (cl *cluster) checkReason(g *guest) {
	if errors.Is(g.reason, chatroom.ErrSlowConsumer) && g.slow {
		return
	}
	for _, want := range g.causes {
		if want == nil && g.reason == nil || want != nil && errors.Is(g.reason, want) {
			return
		}
	}
	cl.fail(g.String()+" to end for one of the causes: "+g.causes.String(), "%s", errorText(g.reason))
}

// mayLose reports whether g, who is or was a member, may have sent messages that are never
// published.
func (g *guest) mayLose() bool {
	return g.lossy || g.node.phase == crashed || g.left > 0 && g.reason != nil
}

// isToldOfLoss reports whether what g has sent before its server's end may be lost: its server
// has disconnected it for another reason.
func (g *guest) isToldOfLoss() bool {
	return g.lossy || g.left > 0 && g.reason != nil && !errors.Is(g.reason, chatroom.ErrServerClosed)
}

// keyOf returns whose message a unit is, and which.
func keyOf(unit []byte) (key messageKey, ok bool) {
	_, rest, _ := cutFrame(unit)
	body, _, ok := cutFrame(rest)
	if !ok || len(body) < minBody || body[3] != '.' {
		return key, false
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(body[:3])))
	seq, err2 := strconv.Atoi(string(body[4:minBody]))
	return messageKey{number, seq}, err == nil && err2 == nil && number >= 0 && seq >= 0
}

package simulation

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A sequence is a room on all servers: its one sequence of messages, as somebody on the
// first server received it.
type sequence struct {
	name      string
	log       []sequenced
	index     map[messageKey]int // in log
	lastBegan map[*node]int      // when the latest of a server's began, on cluster.clock
}

// A messageKey is what a message's text says of it.
type messageKey struct {
	number int // of the guest, or zero for the program
	seq    int // which of the sender's it is
}

// A sequenced is one message of a sequence.
type sequenced struct {
	from *guest // nil for the program
	word *word  // if it is the program's
	seq  int
	unit []byte
}

// isFor reports whether g, who is in the room, receives the message.
func (m *sequenced) isFor(g *guest) bool {
	if m.word != nil {
		return g.node != m.word.node || !slices.Contains(m.word.except, g)
	}
	return m.from != g
}

// began returns when the message was sent at the earliest, on cluster.clock.
func (m *sequenced) began() int {
	if m.word != nil {
		return m.word.began
	}
	return m.from.sentAt[m.seq]
}

// check compares the cluster with the contract, when nothing moves.
func (cl *cluster) check() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.clock++
	for _, n := range cl.nodes {
		for _, r := range n.rooms {
			cl.checkLog(r)
		}
		if n.refusing {
			n.refused = cl.clock
		}
		if n.phase == ending && n.endFact != nil {
			cl.hasEnded(n)
		}
	}
	for _, n := range cl.nodes {
		n.calm = n.phase == running && !n.stalled && !n.server.Stats().Held && time.Since(cl.movedAt) >= 2*cl.farthest
	}
	for _, g := range cl.guests {
		if cl.failed == nil && !g.watches && !g.dead {
			cl.checkReceived(g)
		}
	}
	for _, n := range cl.nodes {
		cl.checkAtRest(n)
	}
	for _, g := range cl.guests {
		cl.checkEnded(g)
	}
	cl.checkWords()
	if cl.strange != "" {
		cl.fail("hooks to be told what happened", "%s", cl.strange)
	}
}

// checkLog reads what the watcher of r has received. On the first server that is the room's
// one sequence, and on the others it must be the same. cl.mu must be held.
func (cl *cluster) checkLog(r *localRoom) {
	w := r.watcher
	if cl.failed != nil || w == nil || w.joined == 0 {
		return
	}
	w.got = w.link.receive(w.got)
	units := cutUnits(w.got)
	arrives := !w.arrived && r.replaced
	if arrives {
		units = cl.checkArrival(r, units)
	}
	w.arrived = true
	for _, unit := range units {
		cl.movedAt = time.Now()
		if w.got = w.got[len(unit):]; r.node.number == 0 {
			cl.publish(r, unit)
		}
		if cl.failed == nil {
			cl.passOn(r, unit)
		}
		if arrives {
			r.next = unknown
		}
	}
	if len(w.got) > 0 && r.node.phase == running && w.left == 0 && cl.failed == nil {
		cl.fail(w.String()+" to receive whole messages", "%d bytes that are none: %.200q", len(w.got), w.got)
	}
}

// publish notes the next message of a sequence. It checks that each sender's messages are
// there in order, once, whole and under the sender's name, and that what a server's
// program had said before something began there comes before it. cl.mu must be held.
func (cl *cluster) publish(r *localRoom, unit []byte) {
	q := r.sequence
	key, ok := keyOf(unit)
	m := sequenced{seq: key.seq, unit: unit}
	var from *client
	var at *node
	var size int
	switch {
	case ok && key.number == 0 && key.seq < len(cl.words):
		m.word, from = cl.words[key.seq], cl.program
		at, size = m.word.node, m.word.size
	case ok && key.number > 0 && key.number <= len(cl.guests) && key.seq < len(cl.guests[key.number-1].sizes):
		m.from = cl.guests[key.number-1]
		from, at, size = &m.from.client, m.from.node, m.from.sizes[key.seq]
	default:
		cl.fail(r.String()+" to publish what was sent", "%.100q", unit)
		return
	}
	_, again := q.index[key]
	switch {
	case again:
		cl.fail(fmt.Sprintf("message %d of %v to be published once in %v", key.seq, from, r), "it again")
	case m.word != nil && (m.word.to != nil || m.word.in != nil && m.word.in != q):
		cl.fail(fmt.Sprintf("%v not to be published in %v", m.word, r), "it")
	case m.word != nil && m.word.ended > 0 && m.word.err != nil:
		cl.fail(fmt.Sprintf("%v not to be published, since it has failed", m.word), "it")
	case m.word != nil && m.word.ended > 0 && m.word.ended < q.lastBegan[at]:
		cl.fail(fmt.Sprintf("%v to be published before what began later on %v", m.word, at), "it afterwards")
	case m.from != nil && m.from.local.sequence != q:
		cl.fail(from.String()+" to be heard in its room", "it in %v", r)
	case m.from != nil && key.seq != m.from.published:
		cl.fail(fmt.Sprintf("message %d of %v to be published next", m.from.published, from), "message %d", key.seq)
	}
	if cl.want = from.appendUnit(cl.want[:0], key.seq, size); cl.failed == nil && !bytes.Equal(cl.want, unit) {
		cl.fail(r.watcher.String()+" to receive "+strconv.Quote(string(cl.want)), "%q", unit)
	}
	if cl.failed != nil {
		return
	}
	if m.from != nil {
		m.from.published++
	}
	q.index[key] = len(q.log)
	q.log = append(q.log, m)
	q.lastBegan[at] = max(q.lastBegan[at], m.began())
}

// passOn notes the next message that r has published. cl.mu must be held.
func (cl *cluster) passOn(r *localRoom, unit []byte) {
	key, ok := keyOf(unit)
	i, there := r.sequence.index[key]
	switch {
	case !ok || !there || !bytes.Equal(r.sequence.log[i].unit, unit):
		cl.fail(r.String()+" to publish what server 0 publishes", "%.100q", unit)
		return
	case r.next != unknown && i != r.next || r.next == unknown && len(r.log) > 0 && i <= r.log[len(r.log)-1]:
		want := "what follows"
		if r.next != unknown {
			want = fmt.Sprintf("%.100q", r.sequence.log[min(r.next, len(r.sequence.log)-1)].unit)
		}
		cl.fail(r.String()+" to publish in the one sequence "+want, "%.100q, which is number %d in it, after %d", unit, i, r.next)
		return
	}
	r.log, r.seenAt = append(r.log, i), append(r.seenAt, cl.clock)
	r.next = i + 1
}

// checkArrival compares what a watcher that is not the first has received, when it came,
// with what was published before. It returns what is new. cl.mu must be held.
func (cl *cluster) checkArrival(r *localRoom, units [][]byte) [][]byte {
	r.next = unknown // what was missed may come next
	start := len(r.log)
	if len(units) > 0 {
		key, _ := keyOf(units[0])
		if i, there := r.sequence.index[key]; there {
			start, _ = slices.BinarySearch(r.log, i)
		}
	}
	if start == len(r.log) {
		r.floor = start
	}
	w := r.watcher
	for _, i := range r.log[start:] {
		if len(units) == 0 || !bytes.Equal(units[0], r.sequence.log[i].unit) {
			cl.fail(w.String()+" in "+r.String()+" to receive a history without a gap", "%.200q instead of %.200q",
				units, r.sequence.log[i].unit)
			return nil
		}
		w.got = w.got[len(units[0]):]
		units = units[1:]
	}
	return units
}

// checkAtRest checks what must be when n is at rest: it has published all that there is,
// what its members have sent is in the sequence, and if it has missed messages it has
// disconnected its members. cl.mu must be held.
func (cl *cluster) checkAtRest(n *node) {
	if cl.failed != nil || !n.calm {
		return
	}
	for _, r := range n.rooms {
		switch {
		case n.losing || r.next == unknown:
			r.next = len(r.sequence.log) // as far as it has not missed it
		case r.next < len(r.sequence.log):
			cl.fail(r.String()+", which is at rest, to have published all", "nothing of %.100q", r.sequence.log[r.next].unit)
		case !r.gaps && !r.replaced:
			cl.checkFigures(r)
		}
	}
	for _, g := range cl.guests {
		if g.node != n || g.watches || g.joined == 0 || cl.failed != nil {
			continue
		}
		unpublished := g.published < len(g.sizes) && !g.mayLose()
		missed := n.losing && g.openedAt < n.lostAt
		if !unpublished && !missed {
			continue
		}
		switch listed := slices.Contains(n.server.Members(), g.member); {
		case missed && listed:
			cl.fail(g.String()+" to be disconnected, since its server has missed messages", "a member")
		case unpublished && (g.left > 0 || listed): // else its reason is not told yet
			cl.fail("all that "+g.String()+" has sent to be published", "%d of %d messages", g.published, len(g.sizes))
		}
	}
	n.losing = false
}

// checkFigures compares the figures of r with its log. cl.mu must be held.
func (cl *cluster) checkFigures(r *localRoom) {
	if st := r.live().Stats(); st.Messages != uint64(len(r.log)+r.privates) {
		cl.fail(fmt.Sprintf("%v to have published %d messages and %d in private", r, len(r.log), r.privates), "%d", st.Messages)
	}
}

// hasEnded checks what n has done before its end, which has come in time: what its members
// had sent by then has come back, and was written to all of them. cl.mu must be held.
func (cl *cluster) hasEnded(n *node) {
	f := n.endFact
	if f.err != nil {
		if f.took < f.limit {
			cl.fail(n.String()+" to be shut down in time, or its context's error after it", "%v after %v", f.err, f.took)
		}
		n.phase = crashed
		for _, g := range cl.guests {
			g.lossy = g.lossy || g.node == n && !g.dead
		}
		n.end.Close()
		return
	}
	n.phase = settled
	n.end.Close()
	for _, g := range cl.guests {
		if g.node != n || g.watches || g.joined == 0 || cl.failed != nil {
			continue
		}
		q, r := g.local.sequence, g.local
		for seq := range g.owedAtEnd {
			i, there := q.index[messageKey{g.number, seq}]
			if _, ok := slices.BinarySearch(r.log, i); !g.isToldOfLoss() && (!there || !ok && !r.gaps) {
				cl.fail(fmt.Sprintf("message %d of %v to be published on %v before its end", seq, g, n), "nothing")
				return
			}
		}
	}
	for _, g := range cl.guests {
		if g.node == n && !g.watches && !g.dead && g.joined > 0 && cl.failed == nil {
			cl.checkLast(g)
		}
	}
}

// checkLast checks that g, whose server has ended in peace, has received all. cl.mu must be
// held.
func (cl *cluster) checkLast(g *guest) {
	if state := g.link.look(); !state.there || !state.eager || g.slow || g.lossy || g.kickedAt > 0 || g.over {
		return
	}
	cl.checkReceived(g)
	if g.free || !g.resolved || cl.failed != nil {
		return
	}
	g.pass()
	if r := g.local; g.next < len(r.log) {
		cl.fail(g.String()+" to receive all it was owed before the end of its server", "nothing of %.100q", r.sequence.log[r.log[g.next]].unit)
	}
}

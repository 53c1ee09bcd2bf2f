package simulation

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"example.com/chatroom"
)

// at returns the running server that a byte says, or nil.
func (cl *cluster) nodeAt(a byte) *node {
	n := cl.nodes[int(a)%len(cl.nodes)]
	if n.phase != running {
		return nil
	}
	return n
}

// frail returns the running server, not the first one, that a byte says, or nil.
func (cl *cluster) frail(a byte) *node {
	return cl.nodeAt(byte(1 + int(a)%(len(cl.nodes)-1)))
}

// choose returns one of those guests that are connected, chosen by a, or nil.
func (cl *cluster) choose(a byte, ok func(g *guest) bool) *guest {
	var some []*guest
	cl.mu.Lock()
	defer cl.mu.Unlock()
	for _, g := range cl.guests {
		if !g.watches && !g.dead && ok(g) {
			some = append(some, g)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[int(a)%len(some)]
}

// sends reports whether g still sends.
func (g *guest) sends() bool { return !g.over && g.node.phase == running }

// do does one step.
func (cl *cluster) do(st step) {
	cl.movedAt = time.Now()
	switch st.op {
	case coJoin:
		cl.join(st)
	case coSend, coFlood, coGoodbye, coCut:
		if g := cl.choose(st.a, (*guest).sends); g != nil {
			cl.doAs(g, st)
		}
	case coChorus:
		cl.note("all send at once")
		for _, g := range cl.guests {
			if !g.watches && !g.dead && g.sends() {
				cl.send(g, 1+int(st.a%4), cl.cfg.size(st.b))
			}
		}
	case coBroadcast, coAddress, coTell:
		cl.speak(st)
	case coKick:
		cl.kick(st)
	case coStall, coResume:
		if g := cl.choose(st.a, func(g *guest) bool { return g.node.number > 0 }); g != nil {
			cl.pace(g, st)
		}
	case coSleep:
		cl.note("sleep %v", pick(st.b, naps...))
		time.Sleep(pick(st.b, naps...))
	case coEnlist:
		if len(cl.nodes) < maxServers {
			cl.settle()
			cl.enlist()
			cl.settle()
		}
	case coFlush:
		if n := cl.nodeAt(st.a); n != nil {
			cl.flush(n, pick(st.b, naps...))
		}
	case coCalm:
		cl.settle()
		cl.calm()
	default:
		if n := cl.frail(st.a); n != nil {
			cl.doTo(n, st)
		}
	}
}

var naps = []time.Duration{time.Millisecond, 60 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute}

// doTo does a step that makes something bad, or good again, with a server that is not the
// first.
func (cl *cluster) doTo(n *node, st step) {
	switch st.op {
	case coCutOff:
		cl.note("%v is cut off from the order", n)
		n.stalled = true
		n.end.Stall()
	case coRestore:
		cl.note("%v is connected with the order", n)
		n.stalled = false
		n.end.Resume()
	case coLose:
		cl.lose(n)
	case coRepeat:
		cl.note("%v repeats what it has given the order last", n)
		n.end.Repeat()
	case coFar:
		latency := pick(st.b, 0, 5*time.Millisecond, 50*time.Millisecond, 300*time.Millisecond)
		cl.note("%v is %v away from the order", n, latency)
		cl.farthest = max(cl.farthest, latency)
		n.end.SetLatency(latency)
	case coNarrow:
		limit := pick(st.b, 0, 1, 500, 8<<10, -1)
		cl.note("%v may have %d bytes under way", n, limit)
		n.end.SetLimit(limit)
	case coRefuse, coAccept:
		cl.note("the order takes %s of %v", either(st.op == coRefuse, "nothing", "anything"), n)
		cl.refuse(n, st.op == coRefuse)
	case coShutdown:
		if st.b&1 != 0 {
			cl.settle()
		}
		if n.stalled && st.b&2 != 0 {
			n.stalled = false
			n.end.Resume()
		}
		cl.shutDown(n, pick(st.b>>2, 24*time.Hour, time.Hour, time.Second))
	case coCrash:
		cl.settle()
		cl.crash(n)
	}
}

// lose has n miss what it has not received yet.
func (cl *cluster) lose(n *node) {
	if cl.settle(); cl.failed != nil || n.phase != running {
		return
	}
	cl.note("%v misses what it has not received", n)
	cl.mu.Lock()
	cl.clock++
	n.lostAt, n.losing = cl.clock, true
	cl.mu.Unlock()
	for _, r := range n.rooms {
		r.gaps = true
	}
	for _, g := range cl.guests {
		if g.node == n && !g.dead {
			g.may(errLost)
			g.lossy = true
		}
	}
	n.end.Lose(errLost)
	cl.settle()
}

// refuse sets whether the order takes nothing of n.
func (cl *cluster) refuse(n *node, refusing bool) {
	cl.mu.Lock()
	cl.clock++
	n.refused = cl.clock
	cl.mu.Unlock()
	n.refusing = refusing
	n.end.SetAvailable(!refusing)
	for _, g := range cl.guests {
		if g.node == n && !g.dead {
			g.may(chatroom.ErrUnavailable)
		}
	}
}

// join has somebody connect.
func (cl *cluster) join(st step) {
	n := cl.nodeAt(st.a)
	if cl.joins++; n == nil || cl.joins > maxGuests {
		return
	}
	name := pick(st.a>>3, "ann", "bob", "eve", "a rather long name of a guest", "Ünï")
	r := n.rooms[int(st.b)%len(n.rooms)]
	if !r.isWatched() {
		if cl.settle(); cl.failed != nil || !r.isWatched() {
			return
		}
	}
	traits := cl.traits(len(cl.guests) + 1)
	traits.chop = pick(st.b>>1, 0, 0, 1, 7, 0, 64)
	g := cl.connect(name, r, traits)
	if st.b&0xc0 == 0xc0 && n.number > 0 {
		cl.pace(g, step{op: coStall, b: st.b})
	}
}

// doAs does a step of somebody who still sends.
func (cl *cluster) doAs(g *guest, st step) {
	switch st.op {
	case coSend:
		cl.send(g, 1+int(st.b>>6), cl.cfg.size(st.b))
	case coFlood:
		size := cl.cfg.size(st.b)
		cl.send(g, min(1+2*cl.cfg.backlog/size, 20*(1+int(st.b>>4))), size)
	case coGoodbye:
		cl.note("%v says goodbye", g)
		g.over = true
		before := slices.Clip(g.causes)
		g.must(nil)
		g.may(syscall.EPIPE)
		if g.link.hangUp() {
			g.causes = before
			g.lossy = true
			g.isReset()
		}
	case coCut:
		cl.note("%v is cut off", g)
		g.over, g.lossy = true, true
		g.link.reset()
		g.isReset()
	}
}

func (cl *cluster) send(g *guest, count, size int) {
	cost := count * size * len(cl.guests)
	if cl.spent += cost; cl.spent > spendable {
		count = 1
	}
	cl.note("%v sends %d of %d bytes", g, count, size)
	g.send(count, size, cl.tick())
	cl.movedAt = time.Now()
}

// speak has the program of a server say something, also when the server has ended.
func (cl *cluster) speak(st step) {
	n := cl.nodes[int(st.a)%len(cl.nodes)]
	w := &word{node: n, size: cl.cfg.size(st.b), limit: pick(st.a>>3, 24*time.Hour, time.Minute, time.Second, 10*time.Millisecond, 0)}
	switch st.op {
	case coAddress:
		w.in = cl.sequences[int(st.b>>3)%len(cl.sequences)]
	case coTell:
		w.to = cl.choose(st.b>>3, func(g *guest) bool { return g.joined > 0 && g.node == n })
		if w.to == nil {
			return
		}
	}
	if w.to == nil {
		for _, x := range []byte{st.b >> 4, st.b >> 6} {
			if g := cl.choose(x, func(g *guest) bool { return g.joined > 0 && (g.node == n || x&2 != 0) }); g != nil && x&1 != 0 {
				w.except = append(w.except, g)
			}
		}
	}
	cl.say(w)
}

// kick has the program throw somebody out, when nothing moves.
func (cl *cluster) kick(st step) {
	cl.settle()
	g := cl.choose(st.a, func(g *guest) bool { return g.joined > g.left && g.kickedAt == 0 && g.node.phase == running })
	if g == nil || cl.failed != nil {
		return
	}
	cl.note("%v is kicked", g)
	cl.kicks++
	reason := fmt.Errorf("kick %d", cl.kicks)
	g.kickedAt, g.kicked = cl.tick(), time.Now()
	g.upTo = len(g.local.log)
	g.over, g.lossy = true, true
	g.may(reason)
	g.member.Kick(reason)
}

// pace sets how g reads.
func (cl *cluster) pace(g *guest, st step) {
	switch {
	case st.op == coResume:
		cl.note("%v takes whatever comes", g)
		g.link.take(unlimited, 0, 0)
		return
	case st.b&1 == 0:
		credit := pick(st.b>>1, 0, 100, 1000, 5000)
		cl.note("%v takes %d bytes more", g, credit)
		g.link.take(credit, 0, 0)
	default:
		refill, every := pick(st.b>>1, 50, 1000, 5000), pick(st.b>>3, 10*time.Millisecond, 100*time.Millisecond, 3*time.Second)
		cl.note("%v takes %d bytes every %v", g, refill, every)
		g.link.take(refill, refill, every)
	}
	g.slow = true
}

package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

// spendable bounds what a history costs. It counts the bytes of all messages, once
// for each client.
const spendable = 8 << 20

// sender returns a client that still sends, chosen by a, or nil.
func (s *simulation) sender(a byte) *client {
	return s.choose(a, func(c *client) bool { return !c.over && !c.dead && !c.watches })
}

// receiver returns a client that is still connected, chosen by a, or nil.
func (s *simulation) receiver(a byte) *client {
	return s.choose(a, func(c *client) bool { return !c.dead && !c.watches })
}

func (s *simulation) choose(a byte, ok func(*client) bool) *client {
	var some []*client
	for _, c := range s.clients {
		if ok(c) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[int(a)%len(some)]
}

// do does one step.
func (s *simulation) do(st step) {
	switch st.op {
	case opJoin, opLurk:
		s.join(st)
	case opBroadcast, opAddress, opTell:
		s.speak(st)
	case opKick:
		s.throwOut(st)
	case opVacate:
		s.vacate(st)
	case opDesert:
		s.desert(st)
	case opChorus:
		s.note("all send at once")
		for _, c := range s.clients {
			if !c.over && !c.dead && !c.watches {
				s.send(c, 1+int(st.a%4), s.cfg.size(st.b))
			}
		}
	case opSleep:
		s.note("sleep %v", st.sleep())
		s.sleep(st.sleep())
	case opFlush:
		s.flush(st.sleep())
	case opEnd:
		s.end(st)
	case opStall, opResume, opRekey:
		if c := s.receiver(st.a); c != nil {
			s.pace(c, st)
		}
	case opListen:
		s.listen(st)
	case opSwarm:
		s.swarm(st)
	default:
		if c := s.sender(st.a); c != nil {
			s.doAs(c, st)
		}
	}
}

// doAs does a step of a client that still sends.
func (s *simulation) doAs(c *client, st step) {
	switch st.op {
	case opSend:
		s.send(c, 1+int(st.b>>6), s.cfg.size(st.b))
	case opFlood:
		size := s.cfg.size(st.b)
		s.send(c, min(1+2*s.cfg.backlog/size, 20*(1+int(st.b>>4))), size)
	case opPart:
		if len(c.rest) == 0 {
			c.begin(s.cfg.size(st.b))
		}
		n := int(st.b) % (len(c.rest) + 1)
		s.note("%v sends %d bytes of the frame that it sends next, of which %d were left", c, n, len(c.rest))
		s.widen(c.restSize)
		c.finish(n, s.tick())
	case opGoodbye:
		s.goodbye(c, st.b&1 != 0)
	case opCut:
		if len(c.rest) == 0 {
			c.begin(s.cfg.size(st.b))
		}
		c.finish(int(st.b)%len(c.rest), s.tick())
		s.cut(c)
	case opGarbage:
		s.garbage(c, st.b)
	case opCancel:
		if !c.viaServe {
			return
		}
		s.note("the context of %v ends", c)
		c.over, c.lossy = true, true
		c.must(context.Canceled)
		c.cancel()
	}
}

func either[T any](b bool, x, y T) T {
	if b {
		return x
	}
	return y
}

func (s *simulation) widen(size int) { s.widest = max(s.widest, size) }

func (s *simulation) send(c *client, count, size int) {
	cost := count * size * len(s.clients)
	if s.spent += cost; s.spent > spendable {
		count = 1
	}
	s.note("%v sends %d of %d bytes", c, count, size)
	s.widen(size)
	c.send(count, size, s.tick())
}

// goodbye ends what c sends and, unless half is true, what it receives.
func (s *simulation) goodbye(c *client, half bool) {
	s.note("%v says goodbye%s%s", c, either(half, ", and goes on reading", ""), either(c.unfinished(), ", in the middle of a frame", ""))
	c.over = true
	before := slices.Clip(c.causes)
	switch {
	case c.unfinished():
		c.must(io.ErrUnexpectedEOF)
	case !c.named:
		c.must(io.EOF)
	default:
		c.must(nil)
	}
	if half {
		c.link.finish()
		return
	}
	// A write that fails before the end is read is the reason, if that is not clean.
	c.may(syscall.EPIPE)
	if c.link.hangUp() {
		c.causes = before // what has been sent may be read, but its end is no goodbye
		c.lossy = true
		c.isReset()
	}
}

// cut resets the connection of c.
func (s *simulation) cut(c *client) {
	s.note("%v is cut off", c)
	c.over, c.lossy = true, true
	c.link.reset()
	c.isReset()
}

// isReset notes that c ends with a reset. After a write to a socket has met the
// reset, another write finds no connection any more, and a read finds the end of
// half a frame.
func (c *client) isReset() {
	c.must(syscall.ECONNRESET)
	if c.link.kind == polledLink {
		c.may(syscall.EPIPE)
		if c.unfinished() {
			c.may(io.ErrUnexpectedEOF)
		}
	}
}

// garbage sends what no client is allowed to send.
func (s *simulation) garbage(c *client, kind byte) {
	if c.unfinished() {
		c.finish(len(c.rest), s.tick())
	}
	c.over = true
	bad, reason := "", chatroom.ErrBadHeader
	switch kind % 4 {
	case 0:
		bad = "GET / HTTP/1.1\r\n"
	case 1:
		bad = "-5        hello"
	case 2:
		bad = "          "
	case 3:
		bad, reason = fmt.Sprintf("%-10d", s.cfg.maxMessage+1), chatroom.ErrFrameTooLarge
	}
	s.note("%v sends %q", c, bad)
	c.rest = nil
	c.must(reason)
	c.link.send([]byte(bad))
}

// pace sets how c reads, or makes the server write to it from below.
func (s *simulation) pace(c *client, st step) {
	switch kind := st.b % 4; {
	case st.op == opRekey:
		s.note("%v asks for new keys", c)
		c.link.rekey()
		c.rekeyed = true
		return
	case st.op == opStall && kind < 3:
		credit := pick(st.b>>2, 0, 100, 1000, 5000)
		s.note("%v takes %d bytes more", c, credit)
		c.link.take(credit, 0, 0)
	case st.op == opStall:
		refill, every := pick(st.b>>2, 50, 1000, 5000), pick(st.b>>3, 10*time.Millisecond, 100*time.Millisecond, 3*time.Second)
		if c.link.kind == layeredLink && s.cfg.write > 0 && st.b&0x40 != 0 {
			refill, every = maxRecord/16, s.cfg.write*3/4/16 // a record of the layer's in time, more than that not
		}
		s.note("%v takes %d bytes every %v", c, refill, every)
		c.link.take(refill, refill, every)
	default:
		s.note("%v takes whatever comes", c)
		c.link.take(unlimited, 0, 0)
		c.eagerSince = time.Now()
		return
	}
	c.loose = true
}

// flush checks that Flush returns when everything is written, or when its time is
// up.
func (s *simulation) flush(limit time.Duration) {
	s.note("flush, for up to %v", limit)
	s.settle()
	upTo := make(map[*client]int) // messages of its room's, for each member
	s.mu.Lock()
	for _, c := range s.clients {
		if !c.watches && c.listing() == listed {
			upTo[c] = len(c.room.log)
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	err := s.server.Flush(ctx)
	synctest.Wait()
	switch {
	case err != nil && (!errors.Is(err, context.DeadlineExceeded) || time.Since(start) != limit):
		s.fail("Flush to return nil, or its context's error when that has ended", "%v after %v", err, time.Since(start))
	case err != nil && s.allEager():
		s.fail("Flush to return nil, since everybody reads", "%v", err)
	case err == nil:
		s.check()
		s.checkFlushed(upTo)
	}
}

func (s *simulation) allEager() bool {
	for _, c := range s.clients {
		if !c.dead && (c.loose || !c.link.look().eager) {
			return false
		}
	}
	return true
}

// listen makes the server serve one more listener, or ends one of several.
func (s *simulation) listen(st step) {
	if st.b&1 == 0 {
		if len(s.listeners) < 4 {
			s.note("the server listens once more")
			s.serve()
		}
		return
	}
	if first := s.listener(0); !s.ending && s.listener(1) != first {
		s.settle()
		s.note("a listener fails")
		first.failed = true
		_ = first.listener.Close() // it is open
	}
}

// swarm has members join in several rounds, one or two together, while somebody
// floods. Each takes a few bytes or none, and then nothing more.
func (s *simulation) swarm(st step) {
	credit := pick(st.b>>4, 0, s.cfg.backlog*5/4) // who has taken a backlog is waited for longer
	gap := pick(st.a, 2*time.Second, 3*time.Second)
	for range 6 + st.a>>2%8 {
		var some []*client
		for range 1 + st.b%2 {
			if c := s.join(step{op: opJoin, b: st.b & 0x40}); c != nil {
				s.note("%v takes %d bytes at once, and then nothing", c, credit)
				c.link.take(credit, 0, 0)
				c.loose = true
				some = append(some, c)
			}
		}
		if c := s.sender(0); c != nil {
			s.doAs(c, step{op: opFlood, b: 0xf0 | st.b>>2})
		}
		s.settle()
		for _, c := range some {
			c.link.take(0, 0, 0)
		}
		s.sleep(gap)
		s.settle()
	}
}

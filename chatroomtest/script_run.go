package chatroomtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

// A scriptRun is one telling of a script. The test's goroutine owns all of it.
type scriptRun struct {
	tb    testing.TB
	name  string // the script's file
	s     *Server
	line  int                    // of the latest act
	peers map[string]*scriptPeer // the latest connection of each ID
	order []*scriptPeer          // all connections, as they were made
	over  bool                   // an act has ended the server
}

// fail ends the test at the latest act's line.
func (r *scriptRun) fail(format string, args ...any) {
	r.failAt(r.line, "%s; in the room: %s", fmt.Sprintf(format, args...), r.s.names())
}

func (r *scriptRun) failAt(line int, format string, args ...any) {
	r.tb.Fatalf("%s:%d: %s", r.name, line, fmt.Sprintf(format, args...))
}

// do carries out one act and waits until all that follows from it has happened.
func (r *scriptRun) do(a act) {
	r.line = a.line
	a.run(r, a)
	synctest.Wait()
	for _, p := range r.order {
		if p.endedAt == 0 && p.gone() {
			p.endedAt = a.line
		}
	}
}

// finish lets everyone read, and fails the test if something came that nobody
// expected.
func (r *scriptRun) finish() {
	for _, p := range r.order {
		p.resume()
	}
	synctest.Wait()
	for _, p := range r.order {
		r.wantAllExpected(p)
	}
}

// wantAllExpected fails the test if p has received what no line expected, or if
// the server has ended p's connection and no line says so.
func (r *scriptRun) wantAllExpected(p *scriptPeer) {
	if inbox, _ := p.state(); len(inbox) > 0 {
		r.failAt(r.line, "nobody expected what came: %s", p.came())
	}
	if !p.gone() || p.told || r.over && errors.Is(p.reason, chatroom.ErrServerClosed) {
		return
	}
	line := cmp.Or(p.endedAt, r.line)
	r.failAt(line, "nobody expected the end of %s: %s (%v)", quoteWord(p.id), reasonOf(p.reason), p.reason)
}

// each returns a function that carries out an act by calling do for each of its
// connections in turn.
func each(do func(*scriptRun, act, *scriptPeer)) func(*scriptRun, act) {
	return func(r *scriptRun, a act) {
		for _, id := range a.ids {
			if r.peers[id] == nil {
				r.fail("nobody has connected as %q", id)
			}
		}
		for _, id := range a.ids {
			do(r, a, r.peers[id])
			synctest.Wait()
		}
	}
}

func (r *scriptRun) join(a act) {
	for _, id := range a.ids {
		p := r.connect(id)
		r.s.askForRoom(p.nc.LocalAddr(), a.nameOf(id), a.room)
		if !r.letIn(p, a.nameOf(id)) {
			r.differs(p, quoteWord(id)+" let in")
		}
	}
}

func (r *scriptRun) connectAll(a act) {
	for _, id := range a.ids {
		r.connect(id)
	}
}

// connect makes a connection for id, another one if its last has ended.
func (r *scriptRun) connect(id string) *scriptPeer {
	if last := r.peers[id]; last != nil {
		if !last.gone() {
			r.fail("%s is connected already; another ID can join as %[1]s", quoteWord(id))
		}
		r.wantAllExpected(last)
	}
	p := newScriptPeer(r.s, id, Addr(fmt.Sprintf("%s:%s:%d", network, id, len(r.order)+1)))
	r.peers[id] = p
	r.order = append(r.order, p)
	synctest.Wait()
	return p
}

// letIn sends name and waits until the room lists p or the server's half has
// ended, and reports which.
func (r *scriptRun) letIn(p *scriptPeer, name string) bool {
	p.send(chatroom.AppendFrame(nil, []byte(name)))
	ctx, cancel := r.s.timeout()
	defer cancel()
	for {
		changed := r.s.change()
		if m, ok := r.s.claimJoin(name, p.nc.LocalAddr()); ok {
			p.member = m
			return true
		}
		select {
		case <-changed:
		case <-p.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (r *scriptRun) leave(a act, p *scriptPeer) { r.hangUp(a, p, p.nc.Close) }
func (r *scriptRun) cut(a act, p *scriptPeer)   { r.hangUp(a, p, func() error { return Reset(p.nc) }) }

// hangUp ends p's connection by calling end, after half a frame if a says so.
func (r *scriptRun) hangUp(a act, p *scriptPeer, end func() error) {
	if a.midFrame {
		p.send(chatroom.AppendFrame(nil, []byte("cut"))[:11]) // the header and a byte
		synctest.Wait()
	}
	p.told = true
	if err := end(); err != nil {
		r.fail("%s has hung up already", quoteWord(p.id))
	}
}

func (r *scriptRun) stall(_ act, p *scriptPeer)  { p.stall() }
func (r *scriptRun) resume(_ act, p *scriptPeer) { p.resume() }

func (r *scriptRun) broadcast(a act) {
	send := r.s.Broadcast
	if a.inRoom {
		send = r.s.Room(a.room).Broadcast
	}
	if err := send(context.Background(), a.names[0], []byte(a.body)); err != nil {
		r.fail("broadcast: %v", err)
	}
}

func (r *scriptRun) tell(a act, p *scriptPeer) {
	if err := p.member.Send(context.Background(), a.names[0], []byte(a.body)); err != nil {
		r.fail("tell %s: %v", quoteWord(p.id), err)
	}
}

func (r *scriptRun) kick(a act, p *scriptPeer) { p.member.Kick(errors.New(a.body)) }

func (r *scriptRun) sleep(a act) { time.Sleep(a.duration) }

func (r *scriptRun) shutdown(act) {
	r.over = true
	go func() { _ = r.s.Shutdown(context.Background()) }() // ends with the last connection, which cleanup closes
}

func (r *scriptRun) close(act) {
	r.over = true
	_ = r.s.Server.Close() // always nil
}

func (r *scriptRun) wantMembers(a act) {
	sameName := func(m chatroom.Member, name string) bool { return m.Name == name }
	members := r.s.Members()
	if a.inRoom {
		members = r.s.Room(a.room).Members()
	}
	if !slices.EqualFunc(members, a.names, sameName) {
		r.fail("want members %s", quoted(a.names))
	}
}

func (r *scriptRun) wantLeft(a act, p *scriptPeer) {
	switch {
	case !p.gone():
		r.fail("want the end of %s: %s, got none", quoteWord(p.id), a.reason)
	case !isReason(p.reason, a.reason):
		r.fail("want the end of %s: %s, got %s (%v)", quoteWord(p.id), a.reason, reasonOf(p.reason), p.reason)
	}
	p.told = true
}

func (r *scriptRun) wantRefused(a act) {
	for _, id := range a.ids {
		p := r.peers[id]
		if p == nil || p.told && p.gone() {
			p = r.connect(id)
			r.s.askForRoom(p.nc.LocalAddr(), a.nameOf(id), a.room)
			if r.letIn(p, a.nameOf(id)) {
				r.fail("want %s refused, but it is let in", quoteWord(id))
			}
		}
		r.wantLeft(a, p)
	}
}

func (r *scriptRun) say(a act, p *scriptPeer)       { p.send(chatroom.AppendFrame(nil, []byte(a.body))) }
func (r *scriptRun) sendBytes(a act, p *scriptPeer) { p.send([]byte(a.body)) }

func (r *scriptRun) wantMessage(a act, p *scriptPeer) {
	want := chatroom.AppendFrame(nil, []byte(a.names[0]))
	want = chatroom.AppendFrame(want, []byte(a.body))
	if !p.take(want) {
		r.differs(p, nextLine(p.id, want))
	}
}

func (r *scriptRun) wantBytes(a act, p *scriptPeer) {
	if !p.take([]byte(a.body)) {
		r.differs(p, bytesLine(p.id, []byte(a.body)))
	}
}

func (r *scriptRun) wantNothing(_ act, p *scriptPeer) {
	if inbox, ended := p.state(); len(inbox) > 0 || ended {
		r.differs(p, quoteWord(p.id)+" nothing")
	}
}

func (r *scriptRun) wantClosed(_ act, p *scriptPeer) {
	if inbox, ended := p.state(); len(inbox) > 0 || !ended {
		r.differs(p, quoteWord(p.id)+" closed")
	}
	p.told = true
}

// differs fails the test because something else than want has come to p.
func (r *scriptRun) differs(p *scriptPeer, want string) {
	r.fail("want %s, got %s", want, p.came())
}

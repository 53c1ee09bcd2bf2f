package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

// A scriptRun is one telling of a script. All is owned by the test's goroutine.
type scriptRun struct {
	tb    testing.TB
	sc    *script
	s     *Server
	peers map[string]*scriptPeer
	order []*scriptPeer // as they connected
	over  bool          // the script has ended the server

	update  bool
	instead map[int][]string // what to write in place of a line, from 1
	more    []string         // what to write behind the last
}

// fail ends the test at a's line.
func (r *scriptRun) fail(a act, format string, args ...any) {
	r.tb.Helper()
	r.tb.Fatalf("%s:%d: %s; in the room: %s", r.sc.name, a.line, fmt.Sprintf(format, args...), r.s.names())
}

// do carries out one act and waits until all that follows from it has happened.
func (r *scriptRun) do(a act) {
	r.tb.Helper()
	switch a.verb {
	case "says":
		r.peer(a, a.ids[0]).send(chatroom.AppendFrame(nil, []byte(a.body)))
	case "sends":
		r.peer(a, a.ids[0]).send(a.bytesSent())
	case "broadcast":
		if err := r.s.Broadcast(context.Background(), a.name, []byte(a.body)); err != nil {
			r.fail(a, "broadcast: %v", err)
		}
	case "sleep":
		time.Sleep(a.time)
	case "shutdown":
		r.over = true
		go func() { _ = r.s.Shutdown(context.Background()) }() // ends with the last connection, which cleanup closes
	case "close":
		r.over = true
		_ = r.s.Server.Close() // always nil
	case "members":
		r.wantMembers(a)
	case "refused":
		r.wantRefused(a)
	default:
		r.doEach(a)
	}
	synctest.Wait()
	for _, p := range r.order {
		if p.endedAt == 0 && p.gone() {
			p.endedAt = a.line
		}
	}
}

// doEach carries out an act of several connections, in their order.
func (r *scriptRun) doEach(a act) {
	r.tb.Helper()
	var instead []string
	held := true
	for _, id := range a.ids {
		switch a.verb {
		case "join":
			r.join(a, id)
			continue
		case "connect":
			r.connect(a, id)
			continue
		}
		p := r.peer(a, id)
		switch a.verb {
		case "leave", "cut":
			r.end(a, p)
		case "stall":
			p.stall()
		case "resume":
			p.resume()
		default:
			lines, ok := r.expect(a, p)
			instead = append(instead, lines...)
			held = held && ok
		}
		synctest.Wait()
	}
	if !held {
		r.instead[a.line] = instead
	}
}

func (r *scriptRun) peer(a act, id string) *scriptPeer {
	r.tb.Helper()
	p := r.peers[id]
	if p == nil {
		known := make([]string, 0, len(r.order))
		for _, p := range r.order {
			known = append(known, p.id)
		}
		r.fail(a, "nobody has connected as %q%s", id, suggestion(id, known))
	}
	return p
}

// connect connects id, again if its last connection has ended.
func (r *scriptRun) connect(a act, id string) *scriptPeer {
	r.tb.Helper()
	if old := r.peers[id]; old != nil {
		if !old.gone() {
			r.fail(a, "%q is connected already; another connection of that name is join ID as %s", id, quoteWord(id))
		}
		r.owed(a.line, old)
	}
	p := newScriptPeer(r.s, id, Addr(fmt.Sprintf("%s:%s:%d", network, id, len(r.order)+1)))
	r.peers[id] = p
	r.order = append(r.order, p)
	synctest.Wait()
	return p
}

func (r *scriptRun) join(a act, id string) {
	r.tb.Helper()
	name := id
	if a.name != "" {
		name = a.name
	}
	p := r.connect(a, id)
	if !r.letIn(p, name) {
		got := "nothing"
		if p.gone() {
			got = "refused: " + reasonOf(p.reason)
		}
		r.fail(a, "want %s let in, got %s", quoteWord(id), got)
	}
}

// letIn sends name and waits until the room lists p or the server's half has
// ended, and reports which.
func (r *scriptRun) letIn(p *scriptPeer, name string) bool {
	p.send(chatroom.AppendFrame(nil, []byte(name)))
	ctx, cancel := r.s.timeout()
	defer cancel()
	for {
		changed := r.s.change()
		if _, ok := r.s.claimJoin(name, p.nc.LocalAddr()); ok {
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

// end ends p's connection from its side.
func (r *scriptRun) end(a act, p *scriptPeer) {
	r.tb.Helper()
	if a.midFrame {
		p.send(chatroom.AppendFrame(nil, []byte("cut"))[:11]) // the header and a byte
		synctest.Wait()
	}
	p.told = true
	hangUp := p.nc.Close
	if a.verb == "cut" {
		hangUp = p.nc.reset
	}
	if err := hangUp(); err != nil {
		r.fail(a, "%s has hung up already", quoteWord(p.id))
	}
}

// expect checks one expectation of p. When it does not hold, the test fails or,
// in an update, expect returns the lines that would.
func (r *scriptRun) expect(a act, p *scriptPeer) (lines []string, ok bool) {
	r.tb.Helper()
	inbox, ended := p.state()
	id := quoteWord(p.id)
	switch a.verb {
	case "hears":
		want := fmt.Sprintf("%s< %s: %s", id, quoteWord(a.name), quoteBody(a.body))
		got, n := p.nextLine()
		if got == want {
			p.take(n)
			return []string{got}, true
		}
		r.differs(a, want, p)
		if n > 0 {
			p.take(n)
			lines = []string{got}
		}
		return lines, false
	case "receives":
		want := a.bytesReceived()
		if len(inbox) >= len(want) && string(inbox[:len(want)]) == string(want) {
			p.take(len(want))
			return []string{strings.TrimSpace(r.sc.lines[a.line-1])}, true
		}
		if a.count == 0 {
			r.differs(a, fmt.Sprintf("%s receives %q", id, a.body), p)
		} else {
			r.differsNumbered(a, p)
		}
		return r.drain(p), false
	case "nothing":
		if len(inbox) == 0 && !ended && !p.gone() {
			return []string{id + " nothing"}, true
		}
		r.differs(a, id+" nothing", p)
		if lines = r.drain(p); ended || p.gone() {
			lines = append(lines, r.farewell(p)...)
		}
		return lines, false
	case "closed":
		if len(inbox) == 0 && (ended || p.gone()) {
			p.told = true
			return []string{id + " closed"}, true
		}
		r.differs(a, id+" closed", p)
		if lines = r.drain(p); ended || p.gone() {
			p.told = true
			return append(lines, id+" closed"), false
		}
		return append(lines, id+" nothing"), false
	}
	// left
	if p.gone() && isReason(p.reason, a.body) {
		p.told = true
		return []string{strings.TrimSpace(r.sc.lines[a.line-1])}, true
	}
	r.differsReason(a, p)
	return r.farewell(p), false
}

// drain takes all that p has received, as the lines that expect it.
func (r *scriptRun) drain(p *scriptPeer) (lines []string) {
	for {
		line, n := p.nextLine()
		if n == 0 {
			return lines
		}
		p.take(n)
		lines = append(lines, line)
	}
}

// farewell returns the line that tells why p's connection has ended, if it has.
func (r *scriptRun) farewell(p *scriptPeer) []string {
	if !p.gone() {
		return nil
	}
	p.told = true
	return []string{fmt.Sprintf("left %s: %s", quoteWord(p.id), reasonOf(p.reason))}
}

// differs fails the test, unless the script is being rewritten, because p has not
// received what was wanted.
func (r *scriptRun) differs(a act, want string, p *scriptPeer) {
	r.tb.Helper()
	if !r.update {
		r.fail(a, "want %s, got %s", want, p.came())
	}
}

// differsNumbered says where numbered messages part from what was wanted.
func (r *scriptRun) differsNumbered(a act, p *scriptPeer) {
	r.tb.Helper()
	if r.update {
		return
	}
	inbox, _ := p.state()
	want := a.bytesReceived()
	each := len(want) / a.count // they are padded, so all are of one length
	same := 0
	for same < min(len(inbox), len(want)) && inbox[same] == want[same] {
		same++
	}
	whole := same / each
	p.take(whole * each)
	r.fail(a, "want %s receives %d messages, got %d and then %s", quoteWord(p.id), a.count, whole, p.came())
}

func (r *scriptRun) differsReason(a act, p *scriptPeer) {
	r.tb.Helper()
	if r.update {
		return
	}
	if !p.gone() {
		r.fail(a, "want %s %s: %s, got no end of the connection", a.verb, quoteWord(p.id), a.body)
	}
	r.fail(a, "want %s %s: %s, got %s (%v)", a.verb, quoteWord(p.id), a.body, reasonOf(p.reason), p.reason)
}

func (r *scriptRun) wantMembers(a act) {
	r.tb.Helper()
	got := "members"
	var names []string
	for _, m := range r.s.Members() {
		names = append(names, m.Name)
		got += " " + quoteWord(m.Name)
	}
	if slices.Equal(names, a.ids) {
		return
	}
	if !r.update {
		r.fail(a, "want members %s, got %s", quoted(a.ids), quoted(names))
	}
	r.instead[a.line] = []string{got}
}

func (r *scriptRun) wantRefused(a act) {
	r.tb.Helper()
	p := r.peers[a.ids[0]]
	if p == nil || p.told && p.gone() {
		p = r.connect(a, a.ids[0])
		if r.letIn(p, a.name) {
			r.fail(a, "want %s refused, but it is let in", quoteWord(p.id))
		}
	}
	if p.gone() && isReason(p.reason, a.body) {
		p.told = true
		return
	}
	r.differsReason(a, p)
	if !p.gone() {
		r.instead[a.line] = nil
		return
	}
	p.told = true
	line := "refused " + quoteWord(p.id)
	if a.name != p.id {
		line += " as " + quoteWord(a.name)
	}
	r.instead[a.line] = []string{line + ": " + reasonOf(p.reason)}
}

// owed fails the test, at line, for what p received and nobody expected, or in an
// update has it appended.
func (r *scriptRun) owed(line int, p *scriptPeer) {
	r.tb.Helper()
	if next, _ := p.nextLine(); next != "" && !r.update {
		r.tb.Fatalf("%s:%d: nobody expected what came: %s", r.sc.name, line, p.came())
	}
	r.more = append(r.more, r.drain(p)...)
	if !p.gone() || p.told || r.over && errors.Is(p.reason, chatroom.ErrServerClosed) {
		return
	}
	if !r.update {
		if p.endedAt > 0 {
			line = p.endedAt
		}
		r.tb.Fatalf("%s:%d: nobody expected the end of %s: %s (%v)", r.sc.name, line, quoteWord(p.id), reasonOf(p.reason), p.reason)
	}
	r.more = append(r.more, r.farewell(p)...)
}

// finish lets everyone read, and sees that nothing came that nobody expected.
func (r *scriptRun) finish() {
	r.tb.Helper()
	for _, p := range r.order {
		p.resume()
	}
	synctest.Wait()
	for _, p := range r.order {
		r.owed(max(r.lastLine(), 1), p)
	}
}

// lastLine returns the line of the last act.
func (r *scriptRun) lastLine() int {
	if len(r.sc.acts) == 0 {
		return 0
	}
	return r.sc.acts[len(r.sc.acts)-1].line
}

// rewritten returns the script with its changes.
func (r *scriptRun) rewritten() []byte {
	var lines []string
	for i, line := range r.sc.lines {
		if instead, ok := r.instead[i+1]; ok {
			lines = append(lines, instead...)
		} else {
			lines = append(lines, line)
		}
	}
	if len(r.more) > 0 {
		if n := len(lines); n > 0 && lines[n-1] == "" {
			lines = lines[:n-1] // the end of the last line
		}
		lines = append(append(lines, r.more...), "")
	}
	return []byte(strings.Join(lines, "\n"))
}

package chatroomtest

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// joinRetry is how long a suite waits for a probe before it sends another. A
// server that lists a member before it reads the member's messages never needs
// a second.
const joinRetry = 100 * time.Millisecond

// TestServer proves that a server speaks the chat room's wire protocol and keeps
// what a room promises: order, exclusion, membership, isolation, clean-up and no
// loss. The server may be written in any language and reached over anything that
// is a [net.Conn].
//
// TestServer runs one subtest for each case. For each it calls start with the
// subtest's T; start begins a fresh server with an empty room, ends it by
// tb.Cleanup, by when all connections are closed, and returns how to connect to
// it. The function returned is called on goroutines other than the test's, one
// at a time.
//
//	chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
//		address := startMyServer(tb)
//		return func() (net.Conn, error) { return net.Dial("tcp", address) }
//	})
//
// The protocol does not acknowledge a join, so the cases learn of one from what
// it brings about. A newcomer sends a message behind its name; once a member has
// received it, the server has read the name. Then that member sends one; once
// the newcomer has received it, it is in the room. The first two members each
// send one: whoever joined first receives the other's. Only a server that passes
// on a member's messages before it lists the member makes the cases repeat them.
//
// The cases, by the names that [SkipCase] takes, are of the wire (conversations,
// split, joined-up, headers-accepted, headers-written, headers-rewritten,
// headers-rejected, huge-header, length-in-bytes, empty, large), of the room
// (exclusion, same-name, order, one-sequence, pairs, sender, no-duplicates,
// no-loss, late-join, leave, hang-up, slow-reader) and of connections that
// misbehave (bad-header-harms-nobody, garbage, silent, half-frame, reset).
//
// Each case looks at one thing and reads past all others, so that what a faulty
// server fails tells the fault. A case in which the server closes a connection
// that should be open, or that takes longer than [WithHangTimeout], fails with
// who waits for what. TestServer blocks until all cases have run. Messages are up
// to 256 KiB long, and a case sends up to 6 MiB: where the system's buffers take
// more, a server that waits for slow readers passes. What the server itself says
// in between, such as a greeting, is read past.
func TestServer(t *testing.T, start func(tb testing.TB) (dial func() (net.Conn, error)), opts ...SuiteOption) {
	t.Helper()
	runSuite(t, newServerCases(start), opts)
}

// A serverRun is a case of TestServer's that is being run.
type serverRun struct {
	*suiteRun
	dial    func() (net.Conn, error)
	members []*suiteConn // who is in the room and reads
	probes  int
}

func newServerCases(start func(tb testing.TB) func() (net.Conn, error)) []suiteCase {
	return casesOf(serverCases(), func(r *suiteRun) *serverRun {
		return &serverRun{suiteRun: r, dial: start(r.tb)}
	})
}

// connect makes a connection that has not sent its name.
func (s *serverRun) connect(label string) *suiteConn {
	s.tb.Helper()
	return s.newConn(label, s.dialFor(label, s.dial))
}

// probe returns a message that nobody has sent yet.
func (s *serverRun) probe() string {
	s.probes++
	return fmt.Sprintf("probe %d", s.probes)
}

// pair connects the first two members.
func (s *serverRun) pair(nameA, nameB string) (a, b *suiteConn) {
	s.tb.Helper()
	a, b = s.connect(nameA), s.connect(nameB)
	a.send(nameA)
	b.send(nameB)
	var fromA, fromB []string
	saw := func(c *suiteConn, probes []string) bool {
		for _, p := range probes {
			if c.seen[p] > 0 {
				return true
			}
		}
		return false
	}
	for both := false; !both; {
		first := len(fromA) == 0
		fromA, fromB = append(fromA, s.probe()), append(fromB, s.probe())
		a.send(fromA[len(fromA)-1])
		b.send(fromB[len(fromB)-1])
		s.settle(fmt.Sprintf("%s and %s to receive each other's messages", nameA, nameB), joinRetry, func() bool {
			atA, atB := saw(a, fromB), saw(b, fromA)
			both = atA && atB
			return both || first && (atA || atB)
		})
	}
	s.members = append(s.members, a, b)
	return a, b
}

// join connects a further member.
func (s *serverRun) join(name string) *suiteConn {
	s.tb.Helper()
	c := s.connect(name)
	c.send(name)
	s.admitted(c)
	return c
}

// admitted waits until c, which has sent its name, is in the room.
func (s *serverRun) admitted(c *suiteConn) {
	s.tb.Helper()
	host := s.members[0]
	var welcomes []string
	for heard := false; !heard; {
		hello := s.probe()
		c.send(hello)
		if !s.settle(c.label+" to be heard", joinRetry, func() bool { return host.seen[hello] > 0 }) {
			continue
		}
		welcomes = append(welcomes, s.probe())
		host.send(welcomes[len(welcomes)-1])
		s.settle(c.label+" to hear", joinRetry, func() bool {
			for _, w := range welcomes {
				heard = heard || c.seen[w] > 0
			}
			return heard
		})
	}
	s.members = append(s.members, c)
}

// talk has the first two members exchange a message each, which shows that they
// are unharmed, and gives the server time to read what others sent before.
func (s *serverRun) talk() {
	s.tb.Helper()
	a, b := s.members[0], s.members[1]
	ping := s.probe()
	a.send(ping)
	b.want(ping)
	pong := s.probe()
	b.send(pong)
	a.want(pong)
}

// bodies returns those payloads that c has received so far and keep says yes to,
// in the order of coming.
func (c *suiteConn) bodies(keep func(payload string) bool) []string {
	var all []string
	for _, f := range c.received() {
		if p := string(f.payload); keep(p) {
			all = append(all, p)
		}
	}
	return all
}

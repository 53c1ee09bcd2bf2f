package chatroomtest

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"
)

// joinRetry is how long a suite waits for its messages before it sends them again.
// Servers that read from a member once the room lists it do not make it wait.
const joinRetry = 100 * time.Millisecond

// TestServer proves that a server speaks the chat room's wire protocol and keeps
// what a room promises: order, exclusion, membership, isolation, clean-up and no
// loss. The server may be written in any language and reached over anything that
// is a [net.Conn].
//
// TestServer runs a subtest for each case, or for each part of a case that has
// parts, and calls start with the subtest's T. The function start begins a fresh
// server with an empty room, ends it by tb.Cleanup, by when all connections are
// closed, and returns how to connect to it. That is called on other goroutines
// than the test's, by one at a time.
//
//	chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
//		address := startMyServer(tb)
//		return func() (net.Conn, error) { return net.Dial("tcp", address) }
//	})
//
// The cases, by the names that [SkipCase] takes, are
//
//   - of the wire: split, joined-up, headers-accepted, headers-written,
//     headers-rewritten, headers-rejected, huge-header, length-in-bytes, empty,
//     large and conversations;
//   - of the room: exclusion, same-name, order, one-sequence, pairs, sender,
//     no-duplicates, no-loss, late-join, leave, hang-up and slow-reader;
//   - of connections that misbehave: bad-header-harms-nobody, garbage, silent,
//     half-frame and reset.
//
// The parts of large are sizes in bytes, as in "large/65536": a server whose
// limit is lower skips those above it. Other cases send no more than 16 KiB. The
// parts of headers-accepted, headers-rejected, bad-header-harms-nobody and
// conversations are [WireExamples], as in "headers-rejected/a-plus-sign"; those of
// length-in-bytes and garbage are kinds of text. A server whose names are unique
// skips same-name: no other case has two members of one name.
//
// Each case looks at one thing and reads past all others, a server's greetings
// among them, so that what a faulty server fails tells the fault. A case that
// takes longer than [WithHangTimeout], or whose connection the server closes too
// early, fails with who waits for what. The case slow-reader sends 6 MiB: where
// the system's buffers take more, a server that waits for slow readers passes.
//
// The protocol does not acknowledge a join. So a newcomer and a member send each
// other messages until both have received one; then the newcomer is in the room.
//
// TestServer blocks until all cases have run.
func TestServer(t *testing.T, start func(tb testing.TB) (dial func() (net.Conn, error)), opts ...SuiteOption) {
	t.Helper()
	runSuite(t, serverCases(), startServerRun(start), opts)
}

func serverCases() []suiteCase[*serverRun] {
	return slices.Concat(wireCases(), roomCases())
}

// A serverRun is a case of TestServer's that is being run. It begins with two
// members, whose names no example of the wire's has.
type serverRun struct {
	*suiteRun
	dial     func() (net.Conn, error)
	ann, ben *suiteConn
	probes   int
}

func startServerRun(start func(tb testing.TB) func() (net.Conn, error)) func(r *suiteRun) *serverRun {
	return func(r *suiteRun) *serverRun {
		r.tb.Helper()
		s := &serverRun{suiteRun: r, dial: start(r.tb)}
		s.ann, s.ben = s.connect("ann"), s.connect("ben")
		s.ann.send("ann")
		s.ben.send("ben")
		s.meet(s.ann, s.ben)
		return s
	}
}

// connect makes a connection that has not sent its name.
func (s *serverRun) connect(label string) *suiteConn {
	s.tb.Helper()
	return s.newConn(label, s.dial)
}

// join connects a further member.
func (s *serverRun) join(name string) *suiteConn {
	s.tb.Helper()
	c := s.connect(name)
	c.send(name)
	s.meet(s.ann, c)
	return c
}

// meet returns when a and b, which have sent their names, are in the room.
func (s *serverRun) meet(a, b *suiteConn) {
	s.tb.Helper()
	fromA, fromB, met := s.probe(), s.probe(), false
	for first := true; !met; first = false {
		a.send(fromA)
		b.send(fromB)
		s.until(a.label, "an exchange of messages with "+b.label, time.After(joinRetry), func() bool {
			atA, atB := a.seen[fromB] > 0, b.seen[fromA] > 0
			met = atA && atB
			// Who joined later has missed the other's first, and needs another.
			return met || first && (atA || atB)
		}, a, b)
	}
}

// probe returns a message that nobody has sent yet.
func (s *serverRun) probe() string {
	s.probes++
	return fmt.Sprintf("probe %d", s.probes)
}

// talk has ann and ben exchange a message each, which shows that they are
// unharmed, and gives the server time to read what others sent before.
func (s *serverRun) talk() {
	s.tb.Helper()
	ping, pong := s.probe(), s.probe()
	s.ann.send(ping)
	s.ben.want(ping)
	s.ben.send(pong)
	s.ann.want(pong)
}

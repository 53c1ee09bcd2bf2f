package chatroomtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"example.com/chatroom"
)

func serverCases() []caseOf[*serverRun] { return slices.Concat(wireCases(), roomCases(), faultCases()) }

// roomCases are those of what a room promises its members.
func roomCases() []caseOf[*serverRun] {
	return []caseOf[*serverRun]{
		{"exclusion", "nobody receives a message of their own", testExclusion},
		{"same-name", "members may share a name: exclusion goes by connection", testSameName},
		{"order", "what one member sends stays in order", testOrder},
		{"one-sequence", "all members see one sequence, whoever sends", testOneSequence},
		{"pairs", "a name without its message puts a client out of step for ever", testPairs},
		{"sender", "the name before a message is its sender's", testSender},
		{"no-duplicates", "a message arrives once", testNoDuplicates},
		{"no-loss", "a message read whole reaches everybody who keeps up", testNoLoss},
		{"late-join", "a member receives nothing from before its join", testLateJoin},
		{"leave", "what a member sent before it left still arrives, and the others go on", testLeave},
		{"hang-up", "a connection whose peer has said goodbye is closed, or it leaks", testHangUp},
		{"slow-reader", "a member that does not read must not stop the others", testSlowReader},
	}
}

func testExclusion(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	for i := range 3 {
		own := fmt.Sprintf("ann's own %d", i)
		ann.send(own)
		bob.want(own)
		bob.send("after " + own)
		ann.want("after " + own) // an echo would have come before it
		if ann.count(own) > 0 {
			s.fatalf("ann received %q, which she sent", own)
		}
	}
}

func testSameName(s *serverRun) {
	one, two := s.pair("twin", "ann")
	twin := s.join("twin")
	one.send("from the first twin")
	two.want("from the first twin")
	twin.want("from the first twin")
	twin.send("from the second twin")
	two.want("from the second twin")
	one.want("from the second twin")
}

func testOrder(s *serverRun) {
	const n = 100
	ann, bob := s.pair("ann", "bob")
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("in order %03d", i))
	}
	ann.send(want[:n/2]...) // at once
	for _, body := range want[n/2:] {
		ann.send(body)
	}
	for _, body := range want {
		bob.want(body)
	}
	isOne := func(p string) bool { return strings.HasPrefix(p, "in order ") }
	// What came twice is for another case.
	got := slices.Compact(bob.bodies(isOne))
	for i := 1; i < len(got); i++ {
		if got[i] < got[i-1] && !slices.Contains(got[:i-1], got[i]) {
			s.fatalf("bob received %q after %q", got[i], got[i-1])
		}
	}
}

func testOneSequence(s *serverRun) {
	const n = 60
	ann, bob := s.pair("ann", "bob")
	cat, dan := s.join("cat"), s.join("dan")
	s.sendTogether(n, ann, bob)
	var sequences [][]string
	for _, c := range []*suiteConn{cat, dan, ann, bob} {
		for _, last := range []*suiteConn{ann, bob} {
			if c != last {
				c.want(fmt.Sprintf("%s says %03d", last.label, n-1))
			}
		}
		got := c.bodies(func(p string) bool { return strings.Contains(p, " says ") })
		sequences = append(sequences, got)
	}
	for i, c := range []*suiteConn{cat, dan, ann, bob} {
		var want, got []string
		for _, body := range sequences[0] {
			if slices.Contains(sequences[i], body) && !slices.Contains(want, body) {
				want = append(want, body)
			}
		}
		for _, body := range sequences[i] {
			if slices.Contains(want, body) && !slices.Contains(got, body) {
				got = append(got, body)
			}
		}
		for j := range want {
			if got[j] != want[j] {
				s.fatalf("message %d of those that both received is %q for %s and %q for %s", j, got[j], c.label, want[j], cat.label)
			}
		}
	}
}

// sendTogether has the senders send n messages each, "NAME says 000" and so on,
// all at once.
func (s *serverRun) sendTogether(n int, senders ...*suiteConn) {
	s.tb.Helper()
	var sending sync.WaitGroup
	errs := make([]error, len(senders))
	for i, c := range senders {
		sending.Go(func() {
			for j := range n {
				if err := c.tryWrite(frames(fmt.Sprintf("%s says %03d", c.label, j))); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { // ends with the senders
		defer close(done)
		sending.Wait()
	}()
	s.wait("several members to send", done)
	for i, err := range errs {
		if err != nil {
			s.fatalf("%s: write: %v", senders[i].label, err)
		}
	}
}

func testPairs(s *serverRun) {
	const n = 30
	ann, bob := s.pair("ann", "bob")
	cat := s.join("cat")
	s.sendTogether(n, ann, bob)
	for _, c := range []*suiteConn{ann, bob} {
		cat.want(fmt.Sprintf("%s says %03d", c.label, n-1))
	}
	for i, f := range cat.received() {
		// Whose name it is, is for another case. What others say, as the server
		// itself, may be anything, but comes in pairs too.
		p := string(f.payload)
		isName := p == "ann" || p == "bob" || p == "cat"
		isText := strings.HasPrefix(p, "ann says ") || strings.HasPrefix(p, "bob says ")
		if isName && i%2 != 0 || isText && i%2 == 0 {
			s.fatalf("frame %d for cat is %q: names and messages do not come in turn", i, f.payload)
		}
	}
}

func testSender(s *serverRun) {
	const n = 30
	names := []string{"ann", "bob", "cat", "a name with spaces in it", "x"}
	members := make([]*suiteConn, 0, len(names))
	ann, bob := s.pair(names[0], names[1])
	members = append(members, ann, bob)
	for _, name := range names[2:] {
		members = append(members, s.join(name))
	}
	for _, sender := range members {
		body := "signed by " + sender.label
		sender.send(body)
		for _, c := range members {
			if c == sender {
				continue
			}
			c.want(body)
			if got := c.nameBefore(body); got != sender.label {
				s.fatalf("%s received %q from %q, and %q sent it", c.label, body, got, sender.label)
			}
		}
	}
	// Names must not get mixed up when several members send at once either.
	s.sendTogether(n, ann, bob)
	cat := members[2]
	for _, sender := range []*suiteConn{ann, bob} {
		for i := range n {
			body := fmt.Sprintf("%s says %03d", sender.label, i)
			cat.want(body)
			// A torn pair, which is for another case, has the name elsewhere.
			if got := cat.nameBefore(body); got != sender.label && cat.inTurn() {
				s.fatalf("cat received %q from %q, and %q sent it", body, got, sender.label)
			}
		}
	}
}

// inTurn reports whether what c has received is a name and a message in turn, as
// far as the names of the first two members tell.
func (c *suiteConn) inTurn() bool {
	for i, f := range c.received() {
		if p := string(f.payload); (p == "ann" || p == "bob") && i%2 == 1 {
			return false
		}
	}
	return true
}

// nameBefore returns the payload of the frame before body's.
func (c *suiteConn) nameBefore(body string) string {
	all := c.received()
	i := slices.IndexFunc(all, func(f suiteFrame) bool { return string(f.payload) == body })
	if i < 1 {
		return ""
	}
	return string(all[i-1].payload)
}

func testNoDuplicates(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	cat := s.join("cat")
	for i := range 20 {
		ann.send(fmt.Sprintf("once %d", i))
	}
	ann.send("the last")
	for _, c := range []*suiteConn{bob, cat} {
		c.want("the last")
	}
	s.talk() // what comes twice has come twice by now
	for _, c := range []*suiteConn{bob, cat} {
		for i := range 20 {
			if body := fmt.Sprintf("once %d", i); c.count(body) > 1 {
				s.fatalf("%s received %q %d times", c.label, body, c.count(body))
			}
		}
	}
}

func testNoLoss(s *serverRun) {
	const n = 400
	ann, bob := s.pair("ann", "bob")
	cat := s.join("cat")
	all := make([]string, 0, n+1)
	for i := range n {
		all = append(all, fmt.Sprintf("not lost %d", i))
	}
	ann.send(all...)
	for _, c := range []*suiteConn{bob, cat} {
		for _, body := range all {
			c.want(body)
		}
	}
}

func testLateJoin(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	for i := range 3 {
		ann.send(fmt.Sprintf("early %d", i))
		bob.want(fmt.Sprintf("early %d", i))
	}
	cat := s.join("cat")
	ann.send("late")
	cat.want("late")
	for i := range 3 {
		if body := fmt.Sprintf("early %d", i); cat.count(body) > 0 {
			s.fatalf("cat received %q, which was sent before she joined", body)
		}
	}
}

func testLeave(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	for i := range 5 {
		cat := s.join(fmt.Sprintf("cat %d", i))
		s.members = s.members[:2]
		bye := []string{fmt.Sprintf("good %d", i), fmt.Sprintf("bye %d", i)}
		cat.send(bye...)
		cat.note("has left")
		_ = cat.nc.Close()
		bob.want(bye[0])
		bob.want(bye[1])
		s.talk()
	}
}

func testHangUp(s *serverRun) {
	s.pair("ann", "bob")
	cat := s.join("cat")
	half, ok := cat.nc.(interface{ CloseWrite() error })
	if !ok {
		s.tb.Log("the connection cannot end one direction, so there is nothing to see")
		return
	}
	s.members = s.members[:2]
	if err := half.CloseWrite(); err != nil {
		s.fatalf("cat: end the writing side: %v", err)
	}
	// Servers in the tutorials' style read one connection at a time; none needs
	// more than this to get to cat's.
	s.talk()
	cat.wantClosed("a goodbye")
}

func testSlowReader(s *serverRun) {
	const size, n = 32 << 10, 192
	s.pair("ann", "bob")
	ann, bob := s.members[0], s.members[1]
	slow := s.connect("slow")
	if b, ok := slow.nc.(interface{ SetReadBuffer(int) error }); ok {
		_ = b.SetReadBuffer(4 << 10) // a help, where the system takes it
	}
	slow.send("slow")
	s.admitted(slow)
	s.members = s.members[:2]
	resume := slow.pause()
	filler := strings.Repeat("x", size)
	for i := range n {
		ann.write(chatroom.AppendFrame(nil, fmt.Appendf(nil, "%05d%s", i, filler)))
	}
	bob.want(fmt.Sprintf("%05d%s", n-1, filler))
	s.talk()
	resume()
}

package chatroomtest

import (
	"bytes"
	"fmt"
	"strings"

	"example.com/chatroom"
)

// wireCases are those of frames and headers.
func wireCases() []caseOf[*serverRun] {
	return []caseOf[*serverRun]{
		{"conversations", "these are the bytes of the wire's examples", testConversations},
		{"split", "a stream may be cut at any byte, and header and payload often come apart", testSplit},
		{"joined-up", "several frames may come in one segment, the name's among them", testJoinedUp},
		{"headers-accepted", "a header is read as a number with white space around it", testHeadersAccepted},
		{"headers-written", "a header is ten bytes, left-justified and padded with spaces", testHeadersWritten},
		{"headers-rewritten", "a member is sent strict headers, however its peer pads its own", testHeadersRewritten},
		{"headers-rejected", "who sends what is no header is out of step for ever, and is disconnected", testHeadersRejected},
		{"huge-header", "a header that announces gigabytes is refused, not waited for", testHugeHeader},
		{"length-in-bytes", "a length counts bytes, not characters", testLengthInBytes},
		{"empty", "an empty message is a message", testEmpty},
		{"large", "a message is passed on whole, whatever its size", testLarge},
	}
}

func testConversations(s *serverRun) {
	s.pair("probe a", "probe b") // for the joins; nobody else hears of them afterwards
	for _, example := range WireExamples("conversations") {
		conns := map[string]*suiteConn{}
		taken := map[string]int{} // frames of a connection's that are accounted for
		for _, step := range example.Steps {
			c := conns[step.Conn]
			switch step.Word {
			case "join":
				c = s.connect(example.Name + ": " + step.Conn)
				conns[step.Conn] = c
				c.write(step.Bytes)
				s.admitted(c)
			case "send":
				c.write(step.Bytes)
			case "leave":
				_ = c.nc.Close()
				delete(conns, step.Conn)
			case "want":
				c.await(fmt.Sprintf("the bytes %.200q", step.Bytes), func() bool {
					n := taken[step.Conn] + indexFrames(c.frames[taken[step.Conn]:], step.Bytes)
					ok := n >= taken[step.Conn]
					if ok {
						taken[step.Conn] = n
					}
					return ok
				})
			}
		}
		for _, c := range conns {
			_ = c.nc.Close()
		}
		s.members = s.members[:2]
	}
}

// indexFrames returns the number of frames up to the end of those that are these
// bytes, or -1.
func indexFrames(all []suiteFrame, want []byte) int {
	for i := range all {
		var got []byte
		for j := i; j < len(all) && len(got) < len(want); j++ {
			got = append(append(got, all[j].header[:]...), all[j].payload...)
			if bytes.Equal(got, want) {
				return j + 1
			}
		}
	}
	return -1
}

func testSplit(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	stream := frames("split", "message one", "", "message two")
	for at := 1; at < len(stream); at++ {
		c := s.connect(fmt.Sprintf("cut after %d bytes", at))
		body := fmt.Sprintf("in step after %d", at)
		c.write(stream[:at])
		s.talk() // in which the server meets the first part alone
		c.write(append(stream[at:len(stream):len(stream)], frames(body)...))
		bob.want(body)
		_ = c.nc.Close()
	}
	c := s.connect("byte by byte")
	for _, b := range append(stream, frames("in step byte by byte")...) {
		c.write([]byte{b})
	}
	bob.want("in step byte by byte")
	bob.await("all messages that were sent cut", func() bool { return bob.seen["message two"] >= len(stream) })
}

func testJoinedUp(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	c := s.connect("all at once")
	all := []string{"cat"}
	for i := range 20 {
		all = append(all, fmt.Sprintf("joined up %d", i))
	}
	c.send(all...)
	for _, body := range all[1:] {
		bob.want(body)
	}
}

func testHeadersAccepted(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	for i, example := range WireExamples("accept") {
		header, payload := example.Bytes("header"), example.Bytes("payload")
		c := s.connect("header " + example.Name)
		after := fmt.Sprintf("in step after header %d", i)
		c.send("cat")
		c.write(append(append(header, payload...), frames(after)...))
		bob.want(after)
		_ = c.nc.Close()
		if len(payload) == 0 {
			continue
		}
		c = s.connect("name's header " + example.Name)
		after = fmt.Sprintf("in step after name %d", i)
		c.write(append(append(header, payload...), frames(after)...))
		bob.want(after)
		_ = c.nc.Close()
	}
}

func testHeadersWritten(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	for _, size := range []int{20, 99, 100, 1000, 10000} {
		body := fmt.Sprintf("%-*d", size, size)
		ann.send(body)
		bob.want(body)
	}
	s.wantStrict(bob)
}

func testHeadersRewritten(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	c := s.connect("odd headers")
	c.write([]byte("  3\t      cat" + "0000000016" + "odd but accepted" + "\n7        a zebra"))
	bob.want("a zebra")
	s.wantStrict(bob)
}

// wantStrict fails the case unless all headers that c has received are exact.
func (s *serverRun) wantStrict(c *suiteConn) {
	s.tb.Helper()
	for _, f := range c.received() {
		if want := chatroom.AppendFrame(nil, f.payload)[:frameHeaderLen]; !bytes.Equal(want, f.header[:]) {
			s.fatalf("%s: want the header %q before %.40q, got %q", c.label, want, f.payload, f.header)
		}
	}
}

func testHeadersRejected(s *serverRun) {
	s.pair("ann", "bob")
	for _, example := range WireExamples("reject") {
		header := example.Bytes("header")
		c := s.connect("header " + example.Name)
		// The name and the header in one, since a server may hang up on the
		// second before it is all written.
		_ = c.tryWrite(append(frames("cat"), header...))
		c.wantClosed(fmt.Sprintf("the header %q", header))
	}
}

func testHugeHeader(s *serverRun) {
	s.pair("ann", "bob")
	c := s.connect("all nines")
	_ = c.tryWrite(append(frames("cat"), "9999999999"...))
	c.wantClosed(`the header "9999999999"`)
	c = s.connect("a name of all nines")
	_ = c.tryWrite([]byte("9999999999"))
	c.wantClosed(`the header "9999999999"`)
}

func testLengthInBytes(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	for i, body := range []string{"grüße", "naïve 你好", "🦀🦀🦀", "e\u0301", "\xff\xfe not text\x00"} {
		ann.send(body)
		bob.want(body)
		ann.send(fmt.Sprintf("in step after text %d", i))
		bob.want(fmt.Sprintf("in step after text %d", i))
	}
	zoë := s.join("Zoë 🦀")
	zoë.send("by a name of two-byte and four-byte characters")
	bob.want("by a name of two-byte and four-byte characters")
	if got := bob.nameBefore("by a name of two-byte and four-byte characters"); len(got) < len("Zoë 🦀") {
		s.fatalf("bob received a message of %q from %q", "Zoë 🦀", got)
	}
}

func testEmpty(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	for i := range 3 {
		ann.send("", fmt.Sprintf("after empty %d", i))
		bob.want(fmt.Sprintf("after empty %d", i))
		bob.await(fmt.Sprintf("%d empty messages", i+1), func() bool { return bob.seen[""] > i })
	}
}

func testLarge(s *serverRun) {
	ann, bob := s.pair("ann", "bob")
	for i, size := range []int{1000, 1023, 1024, 1025, 4095, 4096, 4097, 16383, 16384, 32768, 65535, 65536, 100000, 1 << 18} {
		body := strings.Repeat(fmt.Sprintf("%c23456789 ", 'a'+i), size/10+1)[:size]
		ann.send(body)
		bob.await(fmt.Sprintf("a message of %d bytes", size), func() bool { return bob.seen[body] > 0 })
	}
}

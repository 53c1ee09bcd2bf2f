package chatroomtest

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// wireCases are those of frames and headers.
func wireCases() []suiteCase[*serverRun] {
	return slices.Concat(
		[]suiteCase[*serverRun]{
			{"split", "a stream may be cut at any byte, and header and payload often come apart", func(s *serverRun) {
				stream := func(i int) []byte { return frames(fmt.Sprintf("split %03d", i), "message one", "", "message two") }
				n := len(stream(0))
				for at := 1; at < n; at++ {
					c := s.connect(fmt.Sprintf("cut after %d bytes", at))
					body := fmt.Sprintf("in step after %d", at)
					c.write(stream(at)[:at])
					s.talk() // in which the server meets the first part alone
					c.write(append(stream(at)[at:], frames(body)...))
					s.ben.want(body)
					_ = c.nc.Close()
				}
				c := s.connect("byte by byte")
				for _, b := range append(stream(n), frames("in step byte by byte")...) {
					c.write([]byte{b})
				}
				s.ben.want("in step byte by byte")
				s.ben.await("all messages that were sent cut", func() bool { return s.ben.seen["message two"] >= n })
			}},
			{"joined-up", "several frames may come in one segment, the name's among them", func(s *serverRun) {
				all := numbered("joined up %d", 20)
				s.connect("all in one").send(append([]string{"cat"}, all...)...)
				s.ben.want(all...)
			}},
			{"headers-written", "a header is ten bytes, left-justified and padded with spaces", func(s *serverRun) {
				for _, p := range messageSizes(20, 99, 100, 1000, 10000) {
					s.ann.send(p.of)
					s.ben.want(p.of)
				}
				s.ben.wantStrict()
			}},
			{"headers-rewritten", "a member is sent strict headers, however its peer pads its own", func(s *serverRun) {
				c := s.connect("odd headers")
				c.write([]byte("  3\t      cat" + "0000000016" + "odd but accepted" + "\n7        a zebra"))
				s.ben.want("a zebra")
				s.ben.wantStrict()
			}},
			{"huge-header", "a header that announces gigabytes is refused, not waited for", func(s *serverRun) {
				s.rejects("9999999999", string(frames("cat"))+"9999999999")
				s.rejects("9999999999", "9999999999")
			}},
			{"empty", "an empty message is a message", func(s *serverRun) { testPassesOn(s, "") }},
		},
		inParts("large", "a message is passed on whole, whatever its size", largeSizes(), testPassesOn),
		inParts("length-in-bytes", "a length counts bytes, not characters",
			append(texts(), suitePart[string]{"no-text", "\xff\xfe no text\x00"}), func(s *serverRun, text string) {
				if utf8.ValidString(text) { // as a name has to be
					s.join(text)
					s.ann.want(text)
				}
				testPassesOn(s, text)
			}),
		inParts("headers-accepted", "a header is read as a number with white space around it",
			exampleParts("accept"), func(s *serverRun, example WireExample) {
				odd := string(example.Bytes("header")) + string(example.Bytes("payload"))
				accepted := func(label string, stream string) {
					s.tb.Helper()
					c := s.connect(label)
					c.write(append([]byte(stream), frames("in step after "+label)...))
					s.ben.want("in step after " + label)
				}
				accepted("a message's header", string(frames("cat"))+odd)
				if len(example.Bytes("payload")) > 0 {
					accepted("a name's header", odd)
				}
			}),
		inParts("headers-rejected", "who sends what is no header is out of step for ever, and is disconnected",
			exampleParts("reject"), func(s *serverRun, example WireExample) {
				header := string(example.Bytes("header"))
				s.rejects(header, string(frames("cat"))+header)
			}),
		inParts("conversations", "these are the bytes of the wire's examples",
			slices.DeleteFunc(exampleParts("conversations"), isOfTwins), playConversation),
	)
}

// isOfTwins reports whether a conversation is of two members with one name. Those
// are for the case same-name.
func isOfTwins(p suitePart[WireExample]) bool { return p.name == "two-of-one-name" }

func playConversation(s *serverRun, example WireExample) {
	conns := map[string]*suiteConn{}
	taken := map[string]int{} // bytes of a connection's that are accounted for
	for _, step := range example.Steps {
		c := conns[step.Conn]
		switch step.Word {
		case "join":
			c = s.connect(step.Conn)
			conns[step.Conn] = c
			c.write(step.Bytes)
			s.meet(s.ann, c)
		case "send":
			c.write(step.Bytes)
		case "leave":
			_ = c.nc.Close()
		case "want":
			c.await(fmt.Sprintf("the bytes %.200q", step.Bytes), func() bool {
				all := strings.Join(c.frames, "")
				_, rest, ok := strings.Cut(all[taken[step.Conn]:], string(step.Bytes))
				if ok {
					taken[step.Conn] = len(all) - len(rest)
				}
				return ok
			})
		}
	}
}

// rejects fails the case unless the server hangs up on a connection that sends
// stream. It is one write, since a second one might come after the hang-up.
func (s *serverRun) rejects(what, stream string) {
	s.tb.Helper()
	c := s.connect(fmt.Sprintf("who sends %.30q", what))
	_ = c.tryWrite([]byte(stream))
	c.wantClosed(fmt.Sprintf("%q", what))
}

func testPassesOn(s *serverRun, body string) {
	s.ann.send(body, "in step")
	s.ben.want(body, "in step")
}

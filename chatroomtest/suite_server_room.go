package chatroomtest

import (
	"fmt"
	"slices"
	"strings"
)

// roomCases are those of what a room promises its members, also beside connections
// that misbehave.
func roomCases() []suiteCase[*serverRun] {
	return slices.Concat(
		[]suiteCase[*serverRun]{
			{"exclusion", "nobody receives a message of their own", func(s *serverRun) {
				for _, own := range numbered("ann's own %d", 3) {
					s.ann.send(own)
					s.ben.want(own)
					s.ben.send("after " + own)
					s.ann.want("after " + own) // an echo would have come before it
					s.ann.wantAtMost(0, own)
				}
			}},
			{"same-name", "members may share a name: exclusion goes by connection", func(s *serverRun) {
				twins := []*suiteConn{s.join("twin"), s.join("twin")}
				for i, twin := range twins {
					body := fmt.Sprintf("from twin %d", i)
					twin.send(body)
					s.ben.want(body)
					twins[1-i].want(body)
				}
			}},
			{"order", "what one member sends stays in order", func(s *serverRun) {
				all := numbered("in order %d", 100)
				s.ann.send(all[:50]...) // in one write
				for _, body := range all[50:] {
					s.ann.send(body)
				}
				s.ben.want(all...)
				s.wantOrder(s.ben, all, "ann sent")
			}},
			{"one-sequence", "all members see one sequence, whoever sends", func(s *serverRun) {
				const n = 60
				cat, dan := s.join("cat"), s.join("dan")
				senders := []*suiteConn{s.ann, s.ben, cat}
				said := s.sendTogether(n, senders...)
				dan.want(said...)
				sequence := common(dan.payloads(), said)
				for i, c := range senders {
					c.want(slices.Delete(slices.Clone(said), i*n, (i+1)*n)...)
					s.wantOrder(c, sequence, "dan received")
				}
			}},
			{"pairs", "a name without its message puts a client out of step for ever", func(s *serverRun) {
				cat := s.join("cat")
				cat.want(s.sendTogether(30, s.ann, s.ben)...)
				if i := s.outOfTurn(cat); i >= 0 {
					s.fatalf("frame %d for cat is %q: names and messages do not come in turn", i, cat.payloads()[i])
				}
			}},
			{"sender", "the name before a message is its sender's", func(s *serverRun) {
				const n = 30
				members := []*suiteConn{s.ann, s.ben}
				for _, name := range []string{"cat", "a name with spaces in it", "x"} {
					members = append(members, s.join(name))
				}
				for _, sender := range members {
					body := "signed by " + sender.label
					sender.send(body)
					for _, c := range members {
						if c != sender {
							s.wantFrom(c, sender, body)
						}
					}
				}
				// Names must not get mixed up when several members send together either.
				for i, body := range s.sendTogether(n, s.ann, s.ben) {
					s.wantFrom(members[2], members[i/n], body)
				}
			}},
			{"no-duplicates", "a message arrives once", func(s *serverRun) {
				all := numbered("once %d", 20)
				s.ann.send(all...)
				s.talk() // what comes twice has come twice by now
				s.ben.wantAtMost(1, all...)
			}},
			{"no-loss", "a message read whole reaches everybody who keeps up", func(s *serverRun) {
				cat := s.join("cat")
				all := numbered("not lost %d", 400)
				s.ann.send(all...)
				s.ben.want(all...)
				cat.want(all...)
			}},
			{"late-join", "a member receives nothing from before its join", func(s *serverRun) {
				early := numbered("early %d", 3)
				s.ann.send(early...)
				s.ben.want(early...)
				cat := s.join("cat")
				s.ann.send("late")
				cat.want("late")
				cat.wantAtMost(0, early...)
			}},
			{"leave", "what a member sent before it left still arrives, and the others go on", func(s *serverRun) {
				for i := range 5 {
					cat := s.join(fmt.Sprintf("cat %d", i))
					last := []string{fmt.Sprintf("good %d", i), fmt.Sprintf("bye %d", i)}
					cat.send(last...)
					_ = cat.nc.Close()
					s.ben.want(last...)
					s.talk()
				}
			}},
			{"hang-up", "a connection whose peer has said goodbye is closed, or it leaks", func(s *serverRun) {
				cat := s.join("cat")
				half, ok := cat.nc.(interface{ CloseWrite() error })
				if !ok {
					s.tb.Log("the connection cannot end one direction, so there is nothing to see")
					return
				}
				if err := half.CloseWrite(); err != nil {
					s.fatalf("cat: end the writing side: %v", err)
				}
				// Servers in the tutorials' style read one connection at a time; none needs
				// more than this to get to cat's.
				s.talk()
				cat.wantClosed("a goodbye")
			}},
			{"slow-reader", "a member that does not read must not stop the others", func(s *serverRun) {
				slow := s.connect("slow")
				if b, ok := slow.nc.(interface{ SetReadBuffer(int) error }); ok {
					_ = b.SetReadBuffer(4 << 10) // a help, where the system takes it
				}
				slow.send("slow")
				s.meet(s.ann, slow)
				slow.pause()
				bodies := numbered("%05d"+strings.Repeat("x", 16<<10-5), 384)
				for _, body := range bodies {
					s.ann.send(body)
				}
				s.ben.want(bodies[len(bodies)-1])
				s.talk()
			}},
			{"silent", "a connection that never sends its name must not hold up others", func(s *serverRun) {
				s.connect("silent")
				s.connect("half a name").write([]byte("5         al"))
				s.talk()
				s.join("cat").send("hello past the silent")
				s.ben.want("hello past the silent")
			}},
			{"half-frame", "half a frame is no message, and its end harms nobody", func(s *serverRun) {
				const body = "half a frame"
				frame := frames(body)
				s.comeAndGo(len(frame)-1, func(i int, c *suiteConn) {
					c.write(frame[:i+1])
					_ = c.nc.Close()
				})
				for _, p := range s.ben.payloads() {
					if p != "" && strings.HasPrefix(body, p) {
						s.fatalf("ben received %q, which was never sent whole", p)
					}
				}
			}},
			{"reset", "a connection that breaks harms nobody", func(s *serverRun) {
				s.comeAndGo(10, func(_ int, c *suiteConn) { _ = Reset(c.nc) })
				_ = Reset(s.connect("reset before the name").nc)
				s.talk()
				s.join("dan")
			}},
		},
		inParts("bad-header-harms-nobody", "what one member sends must not end the others",
			exampleParts("reject"), func(s *serverRun, example WireExample) {
				c := s.connect("cat")
				_ = c.tryWrite(append(frames("cat"), example.Bytes("header")...))
				s.talk()
				_ = c.nc.Close()
				s.talk()
				s.join("dan")
			}),
		inParts("garbage", "what never was of the protocol is hung up on, and harms nobody", []suitePart[string]{
			{"http", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
			{"tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello of TLS"},
			{"ssh", "SSH-2.0-OpenSSH_9.9\r\n"},
			{"smtp", "EHLO localhost\r\nMAIL FROM:<>\r\n"},
			{"zeros", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		}, func(s *serverRun, garbage string) {
			s.rejects(garbage, garbage)
			s.talk()
			s.join("dan")
		}),
	)
}

// wantOrder fails the case unless those of want that c has received came in this
// order. What is missing, and what came twice, is for other cases.
func (s *serverRun) wantOrder(c *suiteConn, want []string, whose string) {
	s.tb.Helper()
	got := common(c.payloads(), want)
	for i, body := range common(want, got) {
		if got[i] != body {
			s.fatalf("%s received %q where %s %q", c.label, got[i], whose, body)
		}
	}
}

// common returns those of a that b has too, each once, in a's order.
func common(a, b []string) []string {
	var all []string
	for _, s := range a {
		if slices.Contains(b, s) && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// sendTogether has the senders send n messages each, all of them concurrently,
// and returns the messages of each in turn.
func (s *serverRun) sendTogether(n int, senders ...*suiteConn) (said []string) {
	s.tb.Helper()
	var sending []<-chan error
	for _, c := range senders {
		bodies := numbered(c.label+" says %d", n)
		said = append(said, bodies...)
		sending = append(sending, s.start(func() (err error) {
			for i := 0; i < n && err == nil; i++ {
				err = c.tryWrite(frames(bodies[i]))
			}
			return err
		}))
	}
	for i, c := range senders {
		s.must(c.label+" to send", func() error { return <-sending[i] })
	}
	return said
}

// outOfTurn returns the index of a frame of c's that is a name where a message
// should be, or a message where a name should be, or -1. Whose name it is, is for
// another case. What the server itself says may be anything, but comes in pairs.
func (s *serverRun) outOfTurn(c *suiteConn) int {
	for i, p := range c.payloads() {
		isName := slices.ContainsFunc(s.conns, func(m *suiteConn) bool { return m.label == p })
		isText := strings.Contains(p, " says ") || strings.Contains(p, "probe ")
		if isName && i%2 != 0 || isText && i%2 == 0 {
			return i
		}
	}
	return -1
}

// wantFrom waits until c has received body. It fails the case if another's name
// came before it, unless names and messages are out of turn, as another case tells.
func (s *serverRun) wantFrom(c, sender *suiteConn, body string) {
	s.tb.Helper()
	c.want(body)
	all := c.payloads()
	if i := slices.Index(all, body); s.outOfTurn(c) < 0 && all[max(i-1, 0)] != sender.label {
		s.fatalf("%s received %q from %q, and %q sent it", c.label, body, all[max(i-1, 0)], sender.label)
	}
}

// comeAndGo has n members come, be heard, and go, one after the other.
func (s *serverRun) comeAndGo(n int, goes func(i int, c *suiteConn)) {
	s.tb.Helper()
	for i := range n {
		c := s.connect(fmt.Sprintf("cat %d", i))
		c.send(c.label, "from "+c.label)
		s.ben.want("from " + c.label)
		goes(i, c)
		s.talk()
	}
}

package chatroomtest

import (
	"fmt"
)

// faultCases are those of connections that misbehave.
func faultCases() []caseOf[*serverRun] {
	return []caseOf[*serverRun]{
		{"bad-header-harms-nobody", "what one member sends must not end the others", testBadHeaderHarmsNobody},
		{"garbage", "what never was of the protocol is hung up on, and harms nobody", testGarbage},
		{"silent", "a connection that never sends its name must not hold up others", testSilent},
		{"half-frame", "half a frame is no message, and its end harms nobody", testHalfFrame},
		{"reset", "a connection that breaks harms nobody", testReset},
	}
}

func testBadHeaderHarmsNobody(s *serverRun) {
	s.pair("ann", "bob")
	for _, example := range WireExamples("reject") {
		c := s.connect("header " + example.Name)
		_ = c.tryWrite(append(frames("cat"), example.Bytes("header")...))
		s.talk()
		_ = c.nc.Close()
		s.talk()
	}
	s.join("dan")
}

func testGarbage(s *serverRun) {
	s.pair("ann", "bob")
	for _, garbage := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello of TLS",
		"SSH-2.0-OpenSSH_9.9\r\n",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"EHLO localhost\r\nMAIL FROM:<>\r\n",
	} {
		c := s.connect(fmt.Sprintf("garbage %.10q", garbage))
		_ = c.tryWrite([]byte(garbage))
		s.talk()
		c.wantClosed(fmt.Sprintf("%q", garbage))
		s.talk()
	}
}

func testSilent(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	s.connect("silent")
	half := s.connect("half a name")
	half.write([]byte("5         al"))
	s.talk()
	cat := s.join("cat")
	cat.send("hello past the silent")
	bob.want("hello past the silent")
}

func testHalfFrame(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	frame := frames("half a frame")
	for n := 1; n < len(frame); n++ {
		c := s.connect(fmt.Sprintf("%d bytes of a frame", n))
		whole := fmt.Sprintf("whole before half %d", n)
		c.send("cat", whole)
		bob.want(whole)
		c.write(frame[:n])
		_ = c.nc.Close()
		s.talk()
	}
	s.join("dan")
	for _, f := range bob.received() {
		if p := string(f.payload); p != "" && len(p) < len("half a frame") && p == "half a frame"[:len(p)] || p == "half a frame" {
			s.fatalf("bob received %q, which was never sent whole", p)
		}
	}
}

func testReset(s *serverRun) {
	_, bob := s.pair("ann", "bob")
	for i := range 10 {
		c := s.connect(fmt.Sprintf("reset %d", i))
		body := fmt.Sprintf("before reset %d", i)
		c.send("cat", body)
		bob.want(body)
		_ = Reset(c.nc)
		s.talk()
	}
	c := s.connect("reset before the name")
	_ = Reset(c.nc)
	s.talk()
	s.join("dan")
}

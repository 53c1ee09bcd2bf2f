package chatroomtest

import (
	"bytes"
	"fmt"
	"strings"

	"example.com/chatroom"
)

func testClientReceives(c *clientRun) {
	c.enter()
	for _, m := range [][2]string{{"bob", "hello"}, {"cat", "hi"}, {"a name with spaces", "  spaces kept  "}, {"ann", "another ann"}} {
		c.writes(frames(m[0], m[1]))
		c.want(m[0], m[1])
	}
}

func testClientSplit(c *clientRun) {
	stream := frames("bob", "in pieces")
	c.enter()
	for at := 1; at < len(stream); at++ {
		c.writes(stream[:at], stream[at:])
		c.wantBody("in pieces")
	}
	one := make([][]byte, 0, len(stream))
	for i := range stream {
		one = append(one, stream[i:i+1])
	}
	c.writes(one...)
	c.wantBody("in pieces")
	c.writes(frames("bob", "whole"))
	c.wantBody("whole")
}

func testClientJoinedUp(c *clientRun) {
	const n = 50
	c.enter()
	var stream []byte
	for i := range n {
		stream = append(stream, frames("bob", fmt.Sprintf("joined up %d", i))...)
	}
	c.writes(stream)
	for i := range n {
		c.wantBody(fmt.Sprintf("joined up %d", i))
	}
}

func testClientOrder(c *clientRun) {
	const n = 100
	c.enter()
	pieces := make([][]byte, 0, n)
	for i := range n {
		pieces = append(pieces, frames(fmt.Sprintf("sender %d", i%3), fmt.Sprintf("message %d", i)))
	}
	c.writes(pieces...)
	var kept []chatroom.Message
	for i := range n {
		m, err := c.receive()
		if err != nil {
			c.fatalf("want %d messages, got the error %v after %d", n, err, i)
		}
		kept = append(kept, m)
	}
	for i, m := range kept { // which belong to the receiver
		c.same(m, fmt.Sprintf("sender %d", i%3), fmt.Sprintf("message %d", i))
	}
}

func testClientReceivesEmpty(c *clientRun) {
	c.enter()
	for _, body := range []string{"", "after", "", ""} {
		c.writes(frames("bob", body))
		c.wantBody(body)
	}
}

func testClientReceivesLarge(c *clientRun) {
	c.enter()
	for _, n := range []int{1024, 4096, 16384, 65535, 65536, 1 << 18} {
		body := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		c.writes(frames("bob", body), frames("bob", "in step"))
		c.wantBody(body)
		c.wantBody("in step")
	}
}

func testClientReceivesBytes(c *clientRun) {
	c.enter()
	for _, body := range []string{"grüße", "naïve 你好", "🦀🦀🦀", "e\u0301"} {
		c.writes(frames("Zoë 🦀", body), frames("bob", "in step"))
		c.want("Zoë 🦀", body)
		c.wantBody("in step")
	}
}

func testClientHeadersAccepted(c *clientRun) {
	for _, example := range WireExamples("accept") {
		header, payload := example.Bytes("header"), example.Bytes("payload")
		if len(payload) == 0 {
			continue // an empty message is for another case
		}
		c.again()
		odd := append(bytes.Clone(header), payload...)
		c.writes(append(bytes.Clone(odd), odd...), frames("bob", "in step"))
		c.wantBody(string(payload))
		c.wantBody("in step")
	}
}

func testClientHeadersRejected(c *clientRun) {
	rest := frames("more", "of", "the", "same", "stream")
	for _, example := range WireExamples("reject") {
		header := example.Bytes("header")
		c.again()
		c.writes(append(bytes.Clone(header), rest...))
		c.wantError(false, fmt.Sprintf("the header %q", header))
		c.again()
		c.writes(append(frames("bob"), append(bytes.Clone(header), rest...)...))
		c.wantError(false, fmt.Sprintf("a name and the header %q", header))
	}
}

func testClientHugeHeader(c *clientRun) {
	c.enter()
	c.writes([]byte("9999999999"))
	c.wantError(false, `the header "9999999999"`)
	c.again()
	c.writes(append(frames("bob"), "9999999999"...))
	c.wantError(false, `a name and the header "9999999999"`)
}

func testClientCleanEnd(c *clientRun) {
	c.enter()
	_ = c.nc.Close()
	c.wantError(true, "an end before the first message")
	c.again()
	c.writes(frames("bob", "the last"))
	c.wantBody("the last")
	_ = c.nc.Close()
	c.wantError(true, "an end between messages")
}

func testClientTornEnd(c *clientRun) {
	stream := frames("bob", "torn")
	for at := 1; at < len(stream); at++ {
		c.again()
		nc := c.nc
		c.running.Go(func() {
			_, _ = nc.Write(stream[:at]) // the client is asked what it received
			_ = nc.Close()
		})
		c.wantError(false, fmt.Sprintf("an end after %q", stream[:at]))
	}
}

func testClientCloses(c *clientRun) {
	c.enter()
	received := make(chan error, 1)
	go func() { // ends with ctx, if the subject keeps to it
		_, err := c.subject.Receive(c.ctx)
		received <- err
	}()
	closed := make(chan struct{})
	go func() { // ends when Close returns
		defer close(closed)
		_ = c.subject.Close()
	}()
	got, err := c.read(1)
	if err == nil {
		c.fatalf("want the connection to end when the client leaves, got %q", got)
	}
	_ = c.nc.Close() // a client may wait for that
	c.wait("Close to return", closed)
	c.do("a Receive that was blocked to return", func() { err = <-received })
	if err == nil {
		c.fatalf("want Receive to return an error after Close, got a message")
	}
}

func testClientConversations(c *clientRun) {
	for _, example := range WireExamples("conversations") {
		for _, conn := range []string{"a", "b", "c"} {
			for _, step := range example.Steps {
				if step.Conn == conn {
					c.play(step)
				}
			}
		}
	}
}

// play does one step of a conversation.
func (c *clientRun) play(step WireStep) {
	c.tb.Helper()
	var payloads []string
	for r := bytes.NewReader(step.Bytes); r.Len() > 0; {
		p, err := chatroom.ReadFrame(r, -1)
		if err != nil {
			c.fatalf("%s: %v", step.Word, err)
		}
		payloads = append(payloads, string(p))
	}
	switch step.Word {
	case "join":
		c.connect(payloads[0])
		c.wantBytes(step.Bytes)
		c.awaitJoin()
	case "send":
		for _, body := range payloads {
			c.sends(body, frames(body))
		}
	case "want":
		c.writes(step.Bytes)
		for i := 0; i < len(payloads); i += 2 {
			c.want(payloads[i], payloads[i+1])
		}
	case "leave":
		nc, subject := c.nc, c.subject
		_ = nc.Close()
		c.do("Close to return", func() { _ = subject.Close() })
	}
}

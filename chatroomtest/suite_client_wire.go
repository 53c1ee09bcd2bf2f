package chatroomtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"example.com/chatroom"
)

func clientCases() []suiteCase[*clientRun] {
	return slices.Concat(
		[]suiteCase[*clientRun]{
			{"name-first", "the first frame is the name, and nothing comes before it", func(c *clientRun) {
				for _, name := range []string{"ann", "a name with spaces in it", strings.Repeat("n", 64)} {
					c.enter(name)
				}
			}},
			{"sends-padding", "a header is ten bytes, left-justified and padded with spaces", func(c *clientRun) {
				c.enter("ann")
				for _, p := range messageSizes(1, 9, 10, 99, 100, 1000, 10000) {
					c.send(p.of)
				}
				c.server.wantStrict()
			}},
			{"sends-empty", "an empty message is a message", func(c *clientRun) { testClientSends(c, "") }},
			{"receives", "a name and a message make one message", func(c *clientRun) {
				c.enter("ann")
				c.receives("bob", "hello")
				c.receives("cat", "hi")
				c.receives("a name with spaces", "  spaces kept  ")
				c.receives("ann", "another ann")
			}},
			{"receives-split", "a stream may be cut at any byte", func(c *clientRun) {
				stream := frames("bob", "in pieces")
				c.enter("ann")
				for at := 1; at < len(stream); at++ {
					c.writes(stream[:at], stream[at:])
					c.want("bob", "in pieces")
				}
				c.writes(slices.Collect(slices.Chunk(stream, 1))...)
				c.want("bob", "in pieces")
				c.receives("bob", "whole")
			}},
			{"receives-joined-up", "several messages may come in one segment", func(c *clientRun) {
				c.enter("ann")
				all := numbered("joined up %d", 50)
				var stream []byte
				for _, body := range all {
					stream = append(stream, frames("bob", body)...)
				}
				c.writes(stream)
				for _, body := range all {
					c.want("bob", body)
				}
			}},
			{"receives-order", "messages stay in order, each with its name", func(c *clientRun) {
				c.enter("ann")
				senders, all := numbered("sender %d", 3), numbered("message %d", 100)
				var pieces [][]byte
				for i, body := range all {
					pieces = append(pieces, frames(senders[i%3], body))
				}
				c.writes(pieces...)
				var kept []chatroom.Message
				for i, body := range all {
					kept = append(kept, c.want(senders[i%3], body))
				}
				for i, m := range kept { // which belong to the receiver
					if string(m.Body) != all[i] {
						c.fatalf("%q became %q when later messages were received", all[i], m.Body)
					}
				}
			}},
			{"receives-empty", "an empty message is a message", func(c *clientRun) { testClientReceivesBody(c, "") }},
			{"huge-header", "a header that announces gigabytes is refused, not waited for", func(c *clientRun) {
				c.rejects([]byte("9999999999"))
			}},
			{"clean-end", "a stream that ends between messages has ended well", func(c *clientRun) {
				c.enter("ann")
				_ = c.server.nc.Close()
				c.wantError(true, "an end before the first message")
				c.enter("ann")
				c.receives("bob", "the last")
				_ = c.server.nc.Close()
				c.wantError(true, "an end between messages")
			}},
			{"torn-end", "a stream that ends inside a message has lost it", func(c *clientRun) {
				stream := frames("bob", "torn")
				for at := 1; at < len(stream); at++ {
					c.enter("ann")
					server := c.server
					c.running.Go(func() { // ends with the connection
						_ = server.tryWrite(stream[:at]) // the client is asked what it received
						_ = server.nc.Close()
					})
					c.wantError(false, fmt.Sprintf("an end after %q", stream[:at]))
				}
			}},
			{"closes", "a client that leaves ends its connection", func(c *clientRun) {
				c.enter("ann")
				received := c.start(func() error {
					_, err := c.client.Receive(c.ctx)
					return err
				})
				closed := c.start(c.client.Close)
				c.server.wantClosed("the client's Close")
				_ = c.server.nc.Close() // a client may wait for that
				_ = c.wait("Close to return", closed)
				c.mustFail("a Receive that was blocked to return after Close", received)
			}},
		},
		inParts("sends", "a message is sent as one frame", []suitePart[string]{
			{"word", "hello"},
			{"letter", "x"},
			{"spaces", "  spaces kept  "},
			{"line-ends", "lines\r\nkept\n"},
			{"frame", "5         hello"},
		}, testClientSends),
		inParts("sends-large", "a message is sent whole, whatever its size", largeSizes(), testClientSends),
		inParts("sends-bytes", "a length counts bytes, not characters", texts(), func(c *clientRun, text string) {
			c.enter(text)
			c.send(text)
		}),
		inParts("receives-large", "a message is received whole, whatever its size", largeSizes(), testClientReceivesBody),
		inParts("receives-bytes", "a length counts bytes, not characters", texts(), testClientReceivesBody),
		inParts("headers-accepted", "a header is read as a number with white space around it",
			exampleParts("accept"), func(c *clientRun, example WireExample) {
				c.enter("ann")
				payload := string(example.Bytes("payload"))
				odd := slices.Concat(example.Bytes("header"), example.Bytes("payload"))
				if payload != "" { // an empty message is for another case
					c.writes(slices.Concat(odd, odd))
					c.want(payload, payload)
				}
				c.writes(slices.Concat(odd, frames("in step")))
				c.want(payload, "in step")
			}),
		inParts("headers-rejected", "after what is no header a client is out of step for ever",
			exampleParts("reject"), func(c *clientRun, example WireExample) {
				c.rejects(example.Bytes("header"))
			}),
		inParts("conversations", "these are the bytes of the wire's examples",
			exampleParts("conversations"), func(c *clientRun, example WireExample) {
				byClient := func(a, b WireStep) int { return strings.Compare(a.Conn, b.Conn) }
				for _, step := range slices.SortedStableFunc(slices.Values(example.Steps), byClient) {
					c.act(step)
				}
			}),
	)
}

func testClientSends(c *clientRun, body string) {
	c.enter("ann")
	c.send(body)
	c.send("in step")
}

func testClientReceivesBody(c *clientRun, body string) {
	c.enter("ann")
	c.receives("Zoë 🦀", body, "in step")
}

// rejects sends header to clients, as that of a name and as that of a message. It
// fails the case unless Receive returns an error, and not that of a clean end.
func (c *clientRun) rejects(header []byte) {
	c.tb.Helper()
	for _, before := range [][]byte{nil, frames("bob")} {
		c.enter("ann")
		c.writes(slices.Concat(before, header, frames("more", "of", "the", "same", "stream")))
		c.wantError(false, fmt.Sprintf("%q and the header %q", before, header))
	}
}

// act does one step of a conversation.
func (c *clientRun) act(step WireStep) {
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
		c.enter(payloads[0])
		c.server.wantStrict()
	case "send":
		for _, body := range payloads {
			c.send(body)
		}
		c.server.wantStrict()
	case "want":
		c.writes(step.Bytes)
		for pair := range slices.Chunk(payloads, 2) {
			c.want(pair[0], pair[1])
		}
	case "leave":
		c.leave()
	}
}

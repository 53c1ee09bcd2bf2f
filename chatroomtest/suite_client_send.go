package chatroomtest

import (
	"fmt"
	"strings"
)

func testClientName(c *clientRun) {
	for _, name := range []string{"ann", "a name with spaces in it", strings.Repeat("n", 64)} {
		c.connect(name)
		got, err := c.read(len(frames(name)))
		// How the header is padded is for another case.
		if err != nil || !strings.HasSuffix(string(got), name) {
			c.fatalf("want the client to send the name %q as a frame first, got %q (%v)", name, got, err)
		}
		c.awaitJoin()
	}
}

func testClientSends(c *clientRun) {
	c.enter()
	for _, body := range []string{"hello", "x", "  spaces kept  ", "5         hello", "lines\r\nkept\n"} {
		sent := frames(body)
		done := make(chan error, 1)
		go func() { done <- c.subject.Send(c.ctx, []byte(body)) }() // ends with ctx, if the subject keeps to it
		got, err := c.read(len(sent))
		if err != nil || string(got[frameHeaderLen:]) != body {
			c.fatalf("want the client to send %q after ten bytes of header, got %q (%v)", body, got, err)
		}
		c.do("Send to return", func() { err = <-done })
		if err != nil {
			c.fatalf("Send: %v", err)
		}
	}
}

func testClientPadding(c *clientRun) {
	c.connect("ann")
	c.wantBytes([]byte("3         ann"))
	c.awaitJoin()
	for _, n := range []int{1, 9, 10, 99, 100, 1000, 10000} {
		body := strings.Repeat("x", n)
		c.sends(body, []byte(fmt.Sprintf("%-10d", n)+body))
	}
}

func testClientSendsEmpty(c *clientRun) {
	c.enter()
	sent := make(chan error, 2)
	go func() { // ends with ctx, if the subject keeps to it
		sent <- c.subject.Send(c.ctx, nil)
		sent <- c.subject.Send(c.ctx, []byte("x"))
	}()
	got, err := c.read(len(frames("", "x")))
	if err != nil || strings.Trim(string(got[:frameHeaderLen]), " 0") != "" || got[len(got)-1] != 'x' {
		c.fatalf("want the client to send an empty frame and one of %q, got %q (%v)", "x", got, err)
	}
	for range 2 {
		c.do("Send to return", func() { err = <-sent })
		if err != nil {
			c.fatalf("Send: %v", err)
		}
	}
}

func testClientSendsLarge(c *clientRun) {
	c.enter()
	for _, n := range []int{1024, 4096, 16384, 65535, 65536, 1 << 18} {
		body := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		sent := make(chan error, 1)
		go func() { sent <- c.subject.Send(c.ctx, []byte(body)) }() // ends with ctx, if the subject keeps to it
		got, err := c.read(frameHeaderLen + n)
		if err != nil || string(got[frameHeaderLen:]) != body {
			c.fatalf("want the client to send %d bytes as they are (%v)", n, err)
		}
		c.do("Send to return", func() { err = <-sent })
		if err != nil {
			c.fatalf("Send %d bytes: %v", n, err)
		}
	}
}

func testClientSendsBytes(c *clientRun) {
	for _, name := range []string{"Jürgen", "李雷", "Zoë 🦀"} {
		c.connect(name)
		c.wantLength(name)
		c.awaitJoin()
	}
	for _, body := range []string{"grüße", "naïve 你好", "🦀🦀🦀", "e\u0301"} {
		sent := make(chan error, 1)
		go func() { sent <- c.subject.Send(c.ctx, []byte(body)) }() // ends with ctx, if the subject keeps to it
		c.wantLength(body)
		var err error
		c.do("Send to return", func() { err = <-sent })
		if err != nil {
			c.fatalf("Send %q: %v", body, err)
		}
	}
}

// wantLength reads a frame and fails the case unless it is of these bytes and
// its header announces them, in whatever form.
func (c *clientRun) wantLength(payload string) {
	c.tb.Helper()
	got, err := c.read(frameHeaderLen + len(payload))
	if err != nil {
		c.fatalf("want the client to send %q, got %q (%v)", payload, got, err)
	}
	header := string(got[:frameHeaderLen])
	if n := strings.TrimLeft(strings.TrimSpace(header), "0"); n != fmt.Sprint(len(payload)) {
		c.fatalf("want the client to announce %d bytes for %q, got the header %q", len(payload), payload, header)
	}
	if string(got[frameHeaderLen:]) != payload {
		c.fatalf("want the client to send %q, got %q", payload, got[frameHeaderLen:])
	}
}

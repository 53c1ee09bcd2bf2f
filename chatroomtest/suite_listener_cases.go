package chatroomtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"example.com/chatroom"
)

func listenerCases() []caseOf[*listenerRun] {
	return []caseOf[*listenerRun]{
		{"accept", "every connection that is dialed is accepted", testListenerAccept},
		{"addr", "the server logs addresses, also of what has been closed", testListenerAddr},
		{"accept-after-close", "Serve must learn that its listener is closed", testListenerAcceptAfterClose},
		{"close-unblocks-accept", "Serve waits in Accept, and must end", testListenerCloseUnblocksAccept},
		{"close-twice", "both the server and the program may close the listener", testListenerCloseTwice},
		{"close-keeps-conns", "a graceful end goes on to write to members", testListenerCloseKeepsConns},
		{"intact", "bytes arrive as they were sent, however they are cut", testListenerIntact},
		{"both-ways", "a member is read from and written to at once", testListenerBothWays},
		{"end-of-stream", "a goodbye is the end of the stream, after all that was sent", testListenerEndOfStream},
		{"read-deadline", "timeouts of silent members are read deadlines", testListenerReadDeadline},
		{"past-read-deadline", "a deadline in the past interrupts a read, which a graceful end is made of", testListenerPastReadDeadline},
		{"write-deadline", "timeouts of members that do not read are write deadlines", testListenerWriteDeadline},
		{"clear-deadline", "deadlines are taken back after the handshake", testListenerClearDeadline},
		{"close-unblocks-read", "a member that is disconnected waits in Read", testListenerCloseUnblocksRead},
		{"close-unblocks-write", "a slow member that is disconnected waits in Write", testListenerCloseUnblocksWrite},
		{"close-conn-twice", "both a member's end and the server's may close a connection", testListenerCloseConnTwice},
		{"serves", "a room over it works, and ends without a rest", testListenerServes},
	}
}

func testListenerAccept(l *listenerRun) {
	const n = 10
	for range n {
		near, far := l.connect()
		l.carries(near, far, "to the accepted end")
		l.carries(far, near, "to the dialed end")
	}
}

func testListenerAddr(l *listenerRun) {
	has := func(what string, addr net.Addr) {
		l.tb.Helper()
		if addr == nil || addr.Network() == "" {
			l.fatalf("%s: want an address with a network, got %v", what, addr)
		}
		_ = addr.String() // may be empty, as that of a Unix socket's client
	}
	has("Addr", l.l.Addr())
	near, far := l.connect()
	for _, nc := range []net.Conn{near, far} {
		has("LocalAddr", nc.LocalAddr())
		has("RemoteAddr", nc.RemoteAddr())
		_ = nc.Close()
		has("LocalAddr of a closed connection", nc.LocalAddr())
		has("RemoteAddr of a closed connection", nc.RemoteAddr())
	}
	_ = l.l.Close()
	has("Addr of a closed listener", l.l.Addr())
}

func testListenerAcceptAfterClose(l *listenerRun) {
	if err := l.l.Close(); err != nil {
		l.fatalf("Close: %v", err)
	}
	for range 2 {
		_ = l.unblocks(l.blocked(func() error {
			_, err := l.l.Accept()
			return err
		}), "Accept of a closed listener to return")
	}
}

func testListenerCloseUnblocksAccept(l *listenerRun) {
	accept := func() error {
		_, err := l.l.Accept()
		return err
	}
	one, two := l.blocked(accept), l.blocked(accept)
	l.do("Close to return", func() { _ = l.l.Close() })
	_ = l.unblocks(one, "Accept to return after Close")
	_ = l.unblocks(two, "the other Accept to return after Close")
}

func testListenerCloseTwice(l *listenerRun) {
	var panicked any
	l.do("Close to return three times", func() {
		defer func() { panicked = recover() }()
		for range 3 {
			_ = l.l.Close() // an error is fine
		}
	})
	if panicked != nil {
		l.fatalf("a second Close panics: %v", panicked)
	}
}

func testListenerCloseKeepsConns(l *listenerRun) {
	near, far := l.connect()
	l.do("Close to return", func() { _ = l.l.Close() })
	l.carries(far, near, "after the listener's Close")
	l.carries(near, far, "after the listener's Close")
}

func testListenerIntact(l *listenerRun) {
	near, far := l.connect()
	message := []byte("\x00\x01 every byte\r\n\xff\xfe of it")
	for at := range len(message) + 1 {
		l.transfer(near, far, message[:at], message[at:])
		l.transfer(far, near, message[:at], message[at:])
	}
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = byte(i * i >> 8)
	}
	l.transfer(near, far, large)
	l.transfer(far, near, large)
}

// transfer writes pieces at one end and fails the case unless they come, joined,
// out of the other.
func (l *listenerRun) transfer(from, to net.Conn, pieces ...[]byte) {
	l.tb.Helper()
	want := bytes.Join(pieces, nil)
	got := make([]byte, len(want))
	var writeErr, readErr error
	l.do(fmt.Sprintf("%d bytes to be carried", len(want)), func() {
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() { writeErr = writeAll(from, pieces...) })
		// In reads that are smaller than the writes.
		for have := 0; have < len(got) && readErr == nil; {
			var n int
			n, readErr = to.Read(got[have:min(have+max(3, len(got)/1000), len(got))])
			have += n
		}
	})
	if err := errors.Join(writeErr, readErr); err != nil {
		l.fatalf("carry %d bytes: %v", len(want), err)
	}
	if !bytes.Equal(got, want) {
		l.fatalf("%d bytes were sent as %d pieces and came as others, which begin %.40q", len(want), len(pieces), got)
	}
}

// writeAll writes non-empty pieces and leaves them unreadable.
func writeAll(nc net.Conn, pieces ...[]byte) error {
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		b := bytes.Clone(p)
		n, err := nc.Write(b)
		if err != nil {
			return err
		}
		if n != len(b) {
			return io.ErrShortWrite
		}
		clear(b) // a connection must not keep it
	}
	return nil
}

func testListenerBothWays(l *listenerRun) {
	near, far := l.connect()
	read := l.blocked(func() error { return readByte(far, 'x') })
	l.carries(far, near, "while a Read waits at the same end")
	var err error
	l.do("a Read that waits to return what comes", func() { err = errors.Join(writeByte(near, 'x'), <-read) })
	if err != nil {
		l.fatalf("read while writing: %v", err)
	}
	const n = 1 << 20
	payload := bytes.Repeat([]byte("both ways"), n/9+1)[:n]
	var errs [4]error
	l.do("1 MiB to be carried each way at once", func() {
		var all sync.WaitGroup
		for i, nc := range []net.Conn{near, far} {
			all.Go(func() { errs[i] = writeAll(nc, payload) })
			all.Go(func() {
				got := make([]byte, n)
				if _, errs[2+i] = io.ReadFull(nc, got); errs[2+i] == nil && !bytes.Equal(got, payload) {
					errs[2+i] = errors.New("other bytes came than were sent")
				}
			})
		}
		all.Wait()
	})
	if err := errors.Join(errs[:]...); err != nil {
		l.fatalf("both ways at once: %v", err)
	}
}

func testListenerEndOfStream(l *listenerRun) {
	near, far := l.connect()
	var got []byte
	var readErr, writeErr error
	l.do("the end of the stream to be read", func() {
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() {
			writeErr = writeAll(near, []byte("the last"))
			_ = near.Close()
		})
		got, readErr = io.ReadAll(far)
	})
	if err := errors.Join(writeErr, readErr); err != nil || string(got) != "the last" {
		l.fatalf("want %q and io.EOF, got %q and %v", "the last", got, err)
	}
	var n int
	l.do("a Read after the end to return", func() { n, readErr = far.Read(make([]byte, 1)) })
	if n != 0 || !errors.Is(readErr, io.EOF) {
		l.fatalf("want io.EOF again after the end, got %d bytes and %v", n, readErr)
	}
}

func readOne(nc net.Conn) func() error {
	return func() error {
		_, err := nc.Read(make([]byte, 1))
		return err
	}
}

func testListenerReadDeadline(l *listenerRun) {
	near, far := l.connect()
	for _, set := range []func(time.Time) error{far.SetReadDeadline, far.SetDeadline} {
		if err := set(time.Now().Add(suiteTick)); err != nil {
			l.fatalf("set a deadline: %v", err)
		}
		l.timedOut(l.unblocks(l.blocked(readOne(far)), "a Read with a deadline to return"), "Read")
	}
	_ = near
}

func testListenerPastReadDeadline(l *listenerRun) {
	_, far := l.connect()
	read := l.blocked(readOne(far))
	if err := far.SetReadDeadline(time.Unix(1, 0)); err != nil {
		l.fatalf("set a deadline: %v", err)
	}
	l.timedOut(l.unblocks(read, "a Read that waits when its deadline is moved to the past to return"), "Read")
	l.timedOut(l.unblocks(l.blocked(readOne(far)), "a Read after its deadline to return"), "Read")
}

func testListenerWriteDeadline(l *listenerRun) {
	_, far := l.connect()
	if err := far.SetWriteDeadline(time.Now().Add(suiteTick)); err != nil {
		l.fatalf("set a deadline: %v", err)
	}
	l.timedOut(l.unblocks(l.blocked(func() error { return fill(far) }), "a Write with a deadline to return"), "Write")
}

func testListenerClearDeadline(l *listenerRun) {
	near, far := l.connect()
	for _, when := range []time.Time{time.Unix(1, 0), time.Now().Add(time.Hour)} {
		_ = far.SetReadDeadline(when)
		if when.Before(time.Now()) {
			_ = l.unblocks(l.blocked(readOne(far)), "a Read after its deadline to return")
		}
		if err := far.SetDeadline(time.Time{}); err != nil {
			l.fatalf("take the deadline back: %v", err)
		}
		l.carries(near, far, "once the deadline is taken back")
		l.carries(far, near, "once the deadline is taken back")
	}
}

func testListenerCloseUnblocksRead(l *listenerRun) {
	_, far := l.connect()
	read := l.blocked(readOne(far))
	l.do("Close to return while a Read waits", func() { _ = far.Close() })
	_ = l.unblocks(read, "a Read that waits to return after Close")
	_ = l.unblocks(l.blocked(readOne(far)), "a Read of a closed connection to return")
}

func testListenerCloseUnblocksWrite(l *listenerRun) {
	_, far := l.connect()
	write := l.blocked(func() error { return fill(far) })
	l.do("Close to return while a Write waits", func() { _ = far.Close() })
	_ = l.unblocks(write, "a Write that waits to return after Close")
	_ = l.unblocks(l.blocked(func() error { return writeByte(far, 'x') }), "a Write to a closed connection to return")
}

func testListenerCloseConnTwice(l *listenerRun) {
	_, far := l.connect()
	var panicked any
	l.do("Close to return three times", func() {
		defer func() { panicked = recover() }()
		for range 3 {
			_ = far.Close() // an error is fine
		}
	})
	if panicked != nil {
		l.fatalf("a second Close panics: %v", panicked)
	}
}

func testListenerServes(l *listenerRun) {
	const members = 5
	joined := make(chan struct{}, members)
	srv := chatroom.NewServer(chatroom.WithOnJoin(func(chatroom.Member) { joined <- struct{}{} }))
	l.closeAtEnd(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l.l) }() // ends with srv
	conns := make([]*chatroom.Conn, members)
	var err error
	for i := range conns {
		l.do("a member to join", func() {
			conns[i], err = chatroom.Dial(l.ctx, l.l.Addr().Network(), l.l.Addr().String(), fmt.Sprintf("member %d", i), chatroom.WithDialer(l.dial))
			if err == nil {
				l.closeAtEnd(conns[i])
				<-joined
			}
		})
		if err != nil {
			l.fatalf("join: %v", err)
		}
	}
	for i, from := range conns {
		body := fmt.Sprintf("message %d", i)
		l.do("a message to be sent", func() { err = from.Send(l.ctx, []byte(body)) })
		if err != nil {
			l.fatalf("send: %v", err)
		}
		for j, to := range conns {
			if i == j {
				continue
			}
			var m chatroom.Message
			l.do("a message to be received", func() { m, err = to.Receive(l.ctx) })
			if err != nil || string(m.Body) != body {
				l.fatalf("member %d: want %q, got %q (%v)", j, body, m.Body, err)
			}
		}
	}
	for _, c := range conns[1:] {
		l.do("a member to leave", func() { _ = c.Close() })
	}
	var ended error
	l.do("the last member to be told of the end, and Shutdown to return", func() {
		var hearing sync.WaitGroup
		hearing.Go(func() {
			_, ended = conns[0].Receive(l.ctx)
			_ = conns[0].Close()
		})
		err = srv.Shutdown(l.ctx)
		hearing.Wait()
	})
	if err != nil || !errors.Is(ended, io.EOF) {
		l.fatalf("Shutdown returned %v, and the last member received %v; want nil and io.EOF", err, ended)
	}
	l.do("Serve to return", func() { err = <-served })
	if !errors.Is(err, chatroom.ErrServerClosed) {
		l.fatalf("Serve returned %v", err)
	}
	if st := srv.Stats(); st.Connections != 0 || st.Joined != members {
		l.fatalf("after Shutdown %d connections are left, and %d of %d members have joined", st.Connections, st.Joined, members)
	}
	if err := srv.Flush(context.Background()); err != nil {
		l.fatalf("Flush: %v", err)
	}
}

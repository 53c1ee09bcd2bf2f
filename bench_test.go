package chatroom_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// newBenchServer starts a server without the harness, whose goroutines would be
// measured as well.
func newBenchServer(b *testing.B, l net.Listener, opts ...chatroom.ServerOption) *chatroom.Server {
	b.Helper()
	s := chatroom.NewServer(opts...)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		<-served
		if err := s.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// joinCounting joins n members to s whose bytes are counted and dropped, and
// returns a function that waits until each has received total bytes since it was
// last called.
func joinCounting(b *testing.B, n int, dial func() (net.Conn, error), s *chatroom.Server) (wait func(total int64)) {
	b.Helper()
	targets := make([]chan int64, n)
	var waiting sync.WaitGroup
	for i := range targets {
		nc, err := dial()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := nc.Write(chatroom.AppendFrame(nil, fmt.Append(nil, i))); err != nil {
			b.Fatal(err)
		}
		targets[i] = make(chan int64)
		go func() { // ends when its channel is closed
			defer nc.Close()
			buf := make([]byte, 64<<10)
			for left := range targets[i] {
				for left > 0 {
					n, err := nc.Read(buf)
					if err != nil {
						b.Error(err)
						break
					}
					left -= int64(n)
				}
				waiting.Done()
			}
		}()
	}
	b.Cleanup(func() {
		for _, ch := range targets {
			close(ch)
		}
	})
	for s.Stats().Members < n {
		runtime.Gosched() // the last names are still on their way
	}
	return func(total int64) {
		waiting.Add(n)
		for _, ch := range targets {
			ch <- total
		}
		waiting.Wait()
	}
}

// BenchmarkBroadcast measures one message of 128 bytes to all members, many in
// flight, until the last member has the last of them. An operation is a message.
func BenchmarkBroadcast(b *testing.B) {
	for _, network := range []string{"tcp", "pipe"} {
		for _, members := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/members=%d", network, members), func(b *testing.B) {
				l := listenTCP(b)
				dial := func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
				if network == "pipe" {
					_ = l.Close()
					pipe := chatroomtest.NewListener()
					l, dial = pipe, func() (net.Conn, error) { return pipe.DialContext(context.Background(), "", "") }
				}
				s := newBenchServer(b, l)
				wait := joinCounting(b, members, dial, s)
				body := make([]byte, 128)
				unit := int64(len(message("sender", string(body))))

				// A burst is far less than the backlog, and warms up first.
				const burst = 1000
				send := func(n int) {
					done := make(chan struct{})
					go func() {
						defer close(done)
						wait(int64(n) * unit)
					}()
					for range n {
						if err := s.Broadcast(context.Background(), "sender", body); err != nil {
							b.Error(err)
						}
					}
					<-done
				}
				send(burst)
				b.SetBytes(unit * int64(members))
				b.ReportAllocs()
				b.ResetTimer()
				for left := b.N; left > 0; left -= burst {
					send(min(left, burst))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/delivery")
			})
		}
	}
}

// BenchmarkJoin measures a connection from its dial until it has joined and
// left.
func BenchmarkJoin(b *testing.B) {
	l := chatroomtest.NewListener()
	joined := make(chan struct{}, 1)
	left := make(chan struct{}, 1)
	newBenchServer(b, l,
		chatroom.WithOnJoin(func(context.Context, chatroom.Member) { joined <- struct{}{} }),
		chatroom.WithOnLeave(func(context.Context, chatroom.Member, error) { left <- struct{}{} }))
	name := chatroom.AppendFrame(nil, []byte("alice"))
	b.ReportAllocs()
	for b.Loop() {
		nc, err := l.DialContext(context.Background(), "", "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := nc.Write(name); err != nil {
			b.Fatal(err)
		}
		<-joined
		if err := nc.Close(); err != nil {
			b.Fatal(err)
		}
		<-left
	}
}

// BenchmarkStats measures what polling the figures costs.
func BenchmarkStats(b *testing.B) {
	const members = 10_000
	l := chatroomtest.NewListener()
	s := newBenchServer(b, l, chatroom.WithMaxConns(-1))
	joinCounting(b, members, func() (net.Conn, error) { return l.DialContext(context.Background(), "", "") }, s)
	b.ReportAllocs()
	for b.Loop() {
		s.Stats()
	}
}

// Package nettest holds the connections of chatroomtest to what any net.Conn has
// to do, as golang.org/x/net/nettest tests it. It is a module of its own, so that
// this dependency is not the library's.
package nettest

import (
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"

	"example.com/chatroom/chatroomtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// over returns a maker of the two ends of a pipe, each with wrap around it.
func over(size int, wrap func(net.Conn) net.Conn) nettest.MakePipe {
	return func() (c1, c2 net.Conn, stop func(), err error) {
		a, b := chatroomtest.Pipe(size)
		c1, c2 = wrap(a), wrap(b)
		return c1, c2, func() {
			_ = c1.Close() // the test may have closed it
			_ = c2.Close()
		}, nil
	}
}

func plain(nc net.Conn) net.Conn { return nc }

func TestPipe(t *testing.T) {
	for _, size := range []int{-1, 0, 1, 7, 512, 1024, 1025, 64 << 10, 4 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { nettest.TestConn(t, over(size, plain)) })
	}
}

func TestListener(t *testing.T) {
	for name, newListener := range map[string]func() *chatroomtest.Listener{
		"unbuffered": chatroomtest.NewListener,
		"buffered":   func() *chatroomtest.Listener { return chatroomtest.NewBufferedListener(4 << 10) },
	} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				l := newListener()
				if c1, err = l.DialContext(t.Context(), "", ""); err != nil {
					return nil, nil, nil, err
				}
				if c2, err = l.Accept(); err != nil {
					return nil, nil, nil, err
				}
				return c1, c2, func() {
					_ = c1.Close() // the test may have closed it
					_ = c2.Close()
					_ = l.Close()
				}, nil
			})
		})
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		slices bool
		wrap   func(net.Conn) net.Conn
	}{
		{"Slice 1", true, func(nc net.Conn) net.Conn { return chatroomtest.Slice(nc, 1) }},
		{"Slice 100", true, func(nc net.Conn) net.Conn { return chatroomtest.Slice(nc, 100) }},
		{"Stall", false, func(nc net.Conn) net.Conn { return chatroomtest.Stall(nc) }},
		{"Latency 0", false, func(nc net.Conn) net.Conn { return chatroomtest.Latency(nc, 0) }},
		{"Latency 1ns", false, func(nc net.Conn) net.Conn { return chatroomtest.Latency(nc, 1) }},
		{"Latency 1ms", false, func(nc net.Conn) net.Conn { return chatroomtest.Latency(nc, time.Millisecond) }},
		{"Bandwidth 0", false, func(nc net.Conn) net.Conn { return chatroomtest.Bandwidth(nc, 0) }},
		{"Bandwidth 100 MB", false, func(nc net.Conn) net.Conn { return chatroomtest.Bandwidth(nc, 100e6) }},
		{"LimitData not reached", false, func(nc net.Conn) net.Conn { return chatroomtest.LimitData(nc, 1<<40) }},
		{"Corrupt nothing", false, func(nc net.Conn) net.Conn { return chatroomtest.Corrupt(nc) }},
		{"composed", true, func(nc net.Conn) net.Conn {
			return chatroomtest.LimitData(chatroomtest.Slice(chatroomtest.Stall(chatroomtest.Corrupt(nc)), 7), 1<<40)
		}},
	} {
		sizes := []int{0, 4 << 10}
		if tt.slices {
			// The echo that nettest talks to does not read while it writes. Without a
			// buffer it and the writer of a second piece wait for each other.
			sizes = []int{64, 4 << 10}
		}
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d", tt.name, size), func(t *testing.T) {
				nettest.TestConn(t, over(size, tt.wrap))
			})
		}
	}
}

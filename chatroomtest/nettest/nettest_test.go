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

// over returns a maker of the two ends of what connect returns.
func over(connect func() (a, b net.Conn)) nettest.MakePipe {
	return func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = connect()
		return c1, c2, func() {
			_ = c1.Close() // the test may have closed it
			_ = c2.Close()
		}, nil
	}
}

func TestLink(t *testing.T) {
	// The echo that nettest talks to does not read while it writes, so that less than
	// a message of its own would not do.
	for _, size := range []int{-1, 0, 64, 1025} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			nettest.TestConn(t, over(func() (a, b net.Conn) { return chatroomtest.NewLink(size) }))
		})
	}
}

func TestLine(t *testing.T) {
	for name, set := range map[string]func(*chatroomtest.Link){
		"slices of 1":     func(l *chatroomtest.Link) { l.SetSlice(1) },
		"slices of 100":   func(l *chatroomtest.Link) { l.SetSlice(100) },
		"latency of 1ns":  func(l *chatroomtest.Link) { l.SetLatency(1) },
		"latency of 1ms":  func(l *chatroomtest.Link) { l.SetLatency(time.Millisecond) },
		"100 MB a second": func(l *chatroomtest.Link) { l.SetRate(100e6) },
		"all of it": func(l *chatroomtest.Link) {
			l.SetSlice(50)
			l.SetLatency(time.Millisecond)
			l.SetRate(100e6)
			l.CutAfter(1 << 40)
		},
	} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, over(func() (net.Conn, net.Conn) {
				a, b := chatroomtest.NewLink(0)
				set(a)
				set(b)
				return a, b
			}))
		})
	}
}

func TestListener(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l := chatroomtest.NewListener()
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
}

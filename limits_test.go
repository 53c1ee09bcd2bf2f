package chatroom_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// serveOn serves l, without a harness that accepts for the server.
func serveOn(t *testing.T, l net.Listener, opts ...chatroom.ServerOption) *chatroom.Server {
	t.Helper()
	s := chatroom.NewServer(opts...)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, s.Shutdown(testContext(t)))
		require.ErrorIs(t, <-served, chatroom.ErrServerClosed)
	})
	return s
}

func TestMaxConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := chatroomtest.NewListener()
		s := serveOn(t, l, chatroom.WithMaxConns(4), chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		dial := func(name string) net.Conn {
			nc, err := l.DialContext(t.Context(), "", "")
			require.NoError(t, err)
			t.Cleanup(func() { _ = nc.Close() })
			synctest.Wait()
			if name != "" {
				_, _ = nc.Write(chatroom.AppendFrame(nil, []byte(name)))
				synctest.Wait()
			}
			return nc
		}
		closed := func(nc net.Conn) bool {
			require.NoError(t, nc.SetReadDeadline(time.Now().Add(time.Millisecond)))
			_, err := nc.Read(make([]byte, 1))
			return !os.IsTimeout(err)
		}
		one, two := dial(""), dial("")
		assert.True(t, closed(dial("")), "strangers are at most half")
		_, err := one.Write(chatroom.AppendFrame(nil, []byte("one")))
		require.NoError(t, err)
		synctest.Wait()
		three := dial("three")
		_, err = two.Write(chatroom.AppendFrame(nil, []byte("two")))
		require.NoError(t, err)
		synctest.Wait()
		four := dial("four")
		for range 10 {
			assert.True(t, closed(dial("")), "it is full")
		}
		for _, nc := range []net.Conn{one, two, three, four} {
			assert.False(t, closed(nc))
		}
		assert.Equal(t, chatroom.Refusals{ServerFull: 11}, s.Stats().Refusals)
		require.NoError(t, four.Close())
		synctest.Wait()
		assert.False(t, closed(dial("")))
		assert.Equal(t, 1, strings.Count(log.String(), "msg=refused"), "at most one a second is logged")
	})
}

func TestMaxConnsPerIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := chatroomtest.NewListener()
		s := serveOn(t, l, chatroom.WithMaxConnsPerIP(2))
		dial := func(from string) net.Conn {
			nc, err := l.DialFrom(t.Context(), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)))
			require.NoError(t, err)
			t.Cleanup(func() { _ = nc.Close() })
			synctest.Wait()
			return nc
		}
		for _, from := range []string{"192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.2]:1", "192.0.2.2:2", "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::2]:1"} {
			dial(from)
		}
		require.Equal(t, 7, s.Stats().Connections)
		dial("192.0.2.1:3")
		dial("192.0.2.2:3")
		dial("[2001:db8::3]:1")
		require.Equal(t, 7, s.Stats().Connections)
		require.Equal(t, chatroom.Refusals{ServerFull: 3}, s.Stats().Refusals)
	})
}

// What comes before the name takes little memory.
func TestLongNameIsRefusedAtOnce(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithNameRule(func(string) error { return nil }))
		raw := s.DialRaw()
		raw.SendBytes("4097      ")
		raw.WantClosed()
		s.Join(strings.Repeat("x", 4096))
	})
}

func TestFrameTimeout(t *testing.T) {
	for _, idle := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithFrameTimeout(time.Minute), chatroom.WithIdleTimeout(idle), chatroom.WithWriteTimeout(-1))
			slow, quick := s.DialRaw(), s.DialRaw()
			slow.SendFrame("slow")
			s.WantMembers("slow")
			quick.SendFrame("quick")
			s.WantMembers("slow", "quick")
			start := time.Now()
			slow.SendBytes("100       ")
			for range 5 { // always something, and never whole
				quick.SendBytes("2")
				time.Sleep(11 * time.Second)
				quick.SendBytes("         ab")
				slow.SendBytes("x")
			}
			slow.Want("quick", "ab")
			require.ErrorIs(t, s.WaitLeave("slow"), os.ErrDeadlineExceeded)
			require.Equal(t, time.Minute*17/16, time.Since(start))
			s.WantMembers("quick")
			quick.SendBytes("2         a")
			start = time.Now()
			time.Sleep(59 * time.Second)
			s.WantMembers("quick")
			require.ErrorIs(t, s.WaitLeave("quick"), os.ErrDeadlineExceeded)
			require.LessOrEqual(t, time.Since(start), time.Minute*17/16)
		})
	}
}

package chatroom_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
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

// Unfinished frames share an amount of memory: who needs more than there is waits, and
// goes on when it is there.
func TestMemoryOfUnfinishedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 200 << 20 // of which there is not twice as much
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(size), chatroom.WithWriteTimeout(-1))
		frame := chatroom.AppendFrame(nil, make([]byte, size))
		alice, bob := s.DialRaw(), s.DialRaw()
		alice.SendFrame("alice")
		s.WantMembers("alice")
		go func() { _, _ = alice.Write(frame[:len(frame)-1]) }()
		synctest.Wait()
		bob.SendFrame("bob")
		s.WantMembers("alice", "bob")
		written := make(chan int, 1)
		go func() {
			n, _ := bob.Write(frame)
			written <- n
		}()
		synctest.Wait()
		require.Empty(t, written)
		alice.Cut()
		require.ErrorIs(t, s.WaitLeave("alice"), syscall.ECONNRESET)
		require.Equal(t, len(frame), <-written)
		s.WantMembers("bob")
	})
}

// A member that is silent after a long message takes nothing of it.
func TestMemoryOfFinishedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 257 << 20 // more than there is for shorter ones
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(size), chatroom.WithWriteTimeout(-1), chatroom.WithOnMessage(
			func(context.Context, chatroom.Member, *chatroom.Message) error { return chatroom.ErrDrop }))
		frame := chatroom.AppendFrame(nil, make([]byte, size))
		alice, bob := s.DialRaw(), s.DialRaw()
		alice.SendFrame("alice")
		s.WantMembers("alice")
		bob.SendFrame("bob")
		s.WantMembers("alice", "bob")
		start := time.Now()
		for _, raw := range []*chatroomtest.Raw{alice, bob} {
			_, err := raw.Write(frame)
			require.NoError(t, err)
		}
		synctest.Wait()
		s.WantMembers("alice", "bob")
		require.Zero(t, time.Since(start))
	})
}

// Who waits for what others have does not wait for ever, also if frames may take for ever.
func TestMemoryThatIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 200 << 20
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(size), chatroom.WithWriteTimeout(-1), chatroom.WithFrameTimeout(-1))
		frame := chatroom.AppendFrame(nil, make([]byte, size))
		start := time.Now()
		for _, name := range []string{"alice", "bob"} {
			raw := s.DialRaw()
			raw.SendFrame(name)
			go func() { _, _ = raw.Write(frame[:len(frame)-1]) }()
			synctest.Wait()
		}
		require.ErrorIs(t, s.WaitLeave("bob"), os.ErrDeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
		s.WantMembers("alice")
	})
}

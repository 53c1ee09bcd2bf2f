package chatroomtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

// newFaultyServer serves l with wrap around each connection's server's end.
func newFaultyServer(t testing.TB, l *chatroomtest.Listener, wrap func(net.Conn) net.Conn, opts ...chatroom.ServerOption) *chatroomtest.Server {
	t.Helper()
	return chatroomtest.NewServerOn(t, chatroomtest.WrapListener(l, wrap), l.DialContext, opts...)
}

// only returns a wrap for the connection that was dialed from addr, and nothing
// for the others.
func only(addr net.Addr, wrap func(net.Conn) net.Conn) func(net.Conn) net.Conn {
	return func(nc net.Conn) net.Conn {
		if nc.RemoteAddr() == addr {
			return wrap(nc)
		}
		return nc
	}
}

// dialFrom connects to l from addr.
func dialFrom(t testing.TB, l *chatroomtest.Listener, addr net.Addr) net.Conn {
	t.Helper()
	nc, err := l.DialFrom(t.Context(), addr)
	require.NoError(t, err)
	return nc
}

func noFault(nc net.Conn) net.Conn { return nc }

// sliceOne cuts everything at every byte.
func sliceOne(nc net.Conn) net.Conn { return chatroomtest.Slice(nc, 1) }

// A room of which every connection is cut at every byte, on both ends, does what
// any other does, in the same fake time.
func TestRoomOfSlicesBehavesAlike(t *testing.T) {
	for name, newListener := range map[string]func() *chatroomtest.Listener{
		"unbuffered": chatroomtest.NewListener,
		"buffered":   func() *chatroomtest.Listener { return chatroomtest.NewBufferedListener(4 << 10) },
	} {
		t.Run(name, func(t *testing.T) {
			want := transcript(t, newListener, noFault)
			require.Contains(t, want, "alice heard 17 bytes from bob")
			require.Equal(t, want, transcript(t, newListener, sliceOne))
		})
	}
}

// transcript plays a scene over connections with wrap around both ends, and
// returns all that was seen.
func transcript(t *testing.T, newListener func() *chatroomtest.Listener, wrap func(net.Conn) net.Conn) string {
	var seen strings.Builder
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		see := func(format string, args ...any) {
			fmt.Fprintf(&seen, "%v: %s\n", time.Since(start), fmt.Sprintf(format, args...))
		}
		l := newListener()
		s := chatroomtest.NewServerOn(t, chatroomtest.WrapListener(l, wrap), chatroomtest.WrapDial(l.DialContext, wrap),
			chatroom.WithMaxMessage(2000), chatroom.WithIdleTimeout(time.Hour))
		settled := func() chatroom.Stats {
			synctest.Wait()
			return s.Stats()
		}
		members := map[string]*chatroomtest.Client{}
		for _, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
			members[name] = s.Join(name)
		}
		hear := func(name string) {
			m, err := members[name].Receive()
			see("%s heard %d bytes from %s: %.20q, %v", name, len(m.Body), m.From, m.Body, err)
		}
		for _, size := range []int{0, 1, 17, 2000} {
			members["bob"].Send(strings.Repeat("x", size))
			for _, name := range []string{"alice", "carol", "dave", "erin"} {
				hear(name)
			}
			members["bob"].WantNothing()
		}
		members["carol"].SendPart("half", 12)
		members["carol"].Close()
		see("carol left: %v", s.WaitLeave("carol"))
		members["dave"].Cut()
		see("dave was reset: %v", errors.Is(s.WaitLeave("dave"), syscall.ECONNRESET))
		members["erin"].Close()
		see("erin left: %v", s.WaitLeave("erin"))
		raw := s.Raw()
		raw.SendFrame("frank")
		raw.SendBytes("garbage...")
		raw.WantClosed()
		see("frank left: %v", s.WaitLeave("frank"))
		see("refused: %v", s.WantRefused(""))
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("idle")))
		hear("alice")
		hear("bob")
		see("%+v", settled())
		hear("alice") // an hour later
		hear("bob")
		see("%+v", settled())
	})
	return seen.String()
}

// A member that stops reading is a slow consumer, whichever end stalls, and
// nobody else notices.
func TestStalledMemberIsEvicted(t *testing.T) {
	const timeout = 10 * time.Second
	addr := chatroomtest.Addr("stalled")
	for name, newListener := range map[string]func() *chatroomtest.Listener{
		"unbuffered": chatroomtest.NewListener,
		"buffered":   func() *chatroomtest.Listener { return chatroomtest.NewBufferedListener(64) },
	} {
		for _, end := range []string{"client", "server"} {
			t.Run(name+"/"+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newListener()
					var far, near *chatroomtest.StallConn
					s := newFaultyServer(t, l, only(addr, func(nc net.Conn) net.Conn {
						far = chatroomtest.Stall(nc)
						return far
					}), chatroom.WithWriteTimeout(timeout))
					near = chatroomtest.Stall(dialFrom(t, l, addr))
					alice := s.JoinConn(near, "alice")
					bob, carol := s.Join("bob"), s.Join("carol")
					bob.Send("before")
					alice.Want("bob", "before")
					carol.Want("bob", "before")

					if end == "client" {
						near.StallReads()
					} else {
						far.StallWrites()
					}
					start := time.Now()
					for i := range 20 {
						bob.Send(fmt.Sprint("more of it ", i))
						carol.Want("bob", fmt.Sprint("more of it ", i))
						require.Zero(t, time.Since(start), "nobody waits for alice")
					}
					require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrSlowConsumer)
					if took := time.Since(start); name == "unbuffered" {
						require.Equal(t, timeout, took)
					} else {
						// What the buffer took of a write counts when the write's deadline comes.
						require.LessOrEqual(t, took, 2*timeout)
						require.GreaterOrEqual(t, took, timeout)
					}
					require.EqualValues(t, 1, s.Stats().SlowConsumers)
					bob.Send("after")
					carol.Want("bob", "after")
					s.WantMembers("bob", "carol")
				})
			})
		}
	}
}

// One that goes on in time loses nothing.
func TestStalledMemberGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(10*time.Second))
		nc := chatroomtest.Stall(s.Dial())
		alice, bob := s.JoinConn(nc, "alice"), s.Join("bob")
		nc.StallReads()
		nc.StallWrites()
		for i := range 5 {
			bob.Send(fmt.Sprint(i))
		}
		time.Sleep(9 * time.Second)
		nc.ResumeReads()
		for i := range 5 {
			alice.Want("bob", fmt.Sprint(i))
		}
		time.AfterFunc(time.Minute, nc.ResumeWrites)
		start := time.Now()
		alice.Send("late")
		bob.Want("alice", "late")
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestRoomWithLatency(t *testing.T) {
	const d = 250 * time.Millisecond
	late := func(nc net.Conn) net.Conn { return chatroomtest.Latency(nc, d) }
	for name, tt := range map[string]struct {
		client, server func(net.Conn) net.Conn
		there, back    time.Duration
	}{
		"client":   {late, noFault, d, 0},
		"server":   {noFault, late, 0, d},
		"both":     {late, late, d, d},
		"composed": {func(nc net.Conn) net.Conn { return sliceOne(late(sliceOne(late(nc)))) }, late, 2 * d, d},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				addr := chatroomtest.Addr("late")
				l := chatroomtest.NewBufferedListener(1 << 10)
				s := newFaultyServer(t, l, only(addr, tt.server))
				bob := s.Join("bob")
				start := time.Now()
				alice := s.JoinConn(tt.client(dialFrom(t, l, addr)), "alice")
				require.Equal(t, tt.there, time.Since(start))
				start = time.Now()
				alice.Send("hello")
				require.Zero(t, time.Since(start))
				bob.Want("alice", "hello")
				require.Equal(t, tt.there, time.Since(start))
				start = time.Now()
				bob.Send("hello yourself")
				alice.Want("bob", "hello yourself")
				require.Equal(t, tt.back, time.Since(start))

				// A goodbye is heard behind what was sent before it.
				alice.Send("goodbye")
				alice.Close()
				bob.Want("alice", "goodbye")
				require.NoError(t, s.WaitLeave("alice"))
			})
		})
	}
}

// A room reaches a member on a slow line at the pace of the line, and the others
// at once.
func TestRoomWithBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr := chatroomtest.Addr("slow")
		l := chatroomtest.NewListener()
		s := newFaultyServer(t, l, only(addr, func(nc net.Conn) net.Conn { return chatroomtest.Bandwidth(nc, 100) }))
		bob, carol := s.Join("bob"), s.Join("carol")
		alice := s.JoinConn(dialFrom(t, l, addr), "alice")
		start := time.Now()
		body := strings.Repeat("x", 77)
		for i := range 3 {
			bob.Send(body)
			carol.Want("bob", body)
			require.Zero(t, time.Since(start), i)
		}
		for i := range 3 {
			alice.Want("bob", body) // a hundred bytes, of which the first of all does not wait
			require.Equal(t, time.Duration(100*(i+1)-1)*10*time.Millisecond, time.Since(start))
		}
		s.WantMembers("bob", "carol", "alice")
	})
}

func TestRoomWithCorruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr := chatroomtest.Addr("noisy")
		l := chatroomtest.NewListener()
		s := newFaultyServer(t, l, only(addr, func(nc net.Conn) net.Conn { return chatroomtest.Corrupt(nc, 10, 24) }))
		bob := s.Join("bob")
		// A client's body, then a header of its own.
		alice := s.JoinConn(sliceOne(chatroomtest.Corrupt(s.Dial(), 15+10, 15+13)), "alice")
		alice.Send("one")
		bob.Want("alice", "\x90ne")
		alice.SendPart("two", 10)
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrBadHeader)
		alice.WantClosed()

		// The server's name, then a header of its own.
		dave := s.JoinConn(dialFrom(t, l, addr), "dave")
		bob.Send("x")
		dave.Want("\x9dob", "x")
		bob.Send("y")
		_, err := dave.Receive()
		require.ErrorIs(t, err, chatroom.ErrBadHeader)
	})
}

// However faults are composed, a connection that is cut is a member that is
// reset, and one that is half closed is a goodbye.
func TestRoomAfterEndsThroughFaults(t *testing.T) {
	for _, w := range wrappers {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := chatroomtest.NewBufferedListener(1 << 10)
				s := newFaultyServer(t, l, w.wrap)
				join := func(name string) *chatroomtest.Raw {
					raw := s.RawConn(w.wrap(s.Dial()))
					raw.SendFrame(name)
					s.WantMembers(name)
					return raw
				}
				raw := join("reset")
				raw.Cut()
				require.ErrorIs(t, s.WaitLeave("reset"), syscall.ECONNRESET)
				raw = join("half")
				raw.SendFrame("goodbye")
				require.NoError(t, chatroomtest.CloseWrite(raw))
				require.NoError(t, s.WaitLeave("half"))
				raw.WantClosed()
				raw = join("closed")
				require.NoError(t, raw.Close())
				_ = s.WaitLeave("closed")
			})
		})
	}
}

// What a server of faulty connections still owes is written at its graceful end.
func TestShutdownThroughFaults(t *testing.T) {
	for _, w := range wrappers {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := chatroomtest.NewBufferedListener(8)
				s := newFaultyServer(t, l, w.wrap)
				alice := s.JoinConn(w.wrap(s.Dial()), "alice")
				for i := range 5 {
					require.NoError(t, s.Broadcast(context.Background(), "host", fmt.Append(nil, i)))
				}
				done := make(chan error, 1)
				go func() { done <- s.Shutdown(context.Background()) }()
				for i := range 5 {
					alice.Want("host", fmt.Sprint(i))
				}
				_, err := alice.Receive()
				assert.Equal(t, io.EOF, err)
				require.NoError(t, <-done)
			})
		})
	}
}

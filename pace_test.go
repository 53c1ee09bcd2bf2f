package chatroom_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// longestHold is how long a room may stand still for members that take nothing, and a
// look at it more.
const longestHold = 5*time.Second + 10*time.Millisecond

// One member sends as fast as it can and a hundred read at a tenth of that rate:
// nobody is evicted, nothing is lost, and the backlog stays in its bounds.
func TestFloodEvictsNobody(t *testing.T) {
	const (
		readers  = 100
		messages = 2000
		size     = 1000
		backlog  = 128 << 10
	)
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
		flooder := s.Join("flooder")
		clients := make([]*chatroomtest.Client, readers)
		for i := range clients {
			clients[i] = s.Join(fmt.Sprint(i))
		}
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range messages {
				body := make([]byte, size)
				copy(body, fmt.Sprint(i))
				time.Sleep(time.Millisecond)
				assert.NoError(t, flooder.Conn.Send(context.Background(), body))
				if st := s.Stats(); st.Backlog > backlog {
					assert.LessOrEqual(t, st.Backlog, int64(backlog))
					return
				}
			}
		})
		for _, c := range clients {
			wg.Go(func() {
				for i := range messages {
					time.Sleep(10 * time.Millisecond)
					m, err := c.Receive()
					if !assert.NoError(t, err) {
						return
					}
					if want := fmt.Sprint(i); string(m.Body[:len(want)]) != want {
						assert.Equal(t, want, string(m.Body[:len(want)]))
						return
					}
				}
			})
		}
		wg.Wait()
		st := s.Stats()
		assert.Equal(t, readers+1, st.Members)
		assert.Zero(t, st.Leaves.SlowConsumer)
		assert.NotZero(t, st.Holds, "publishing was held")
		assert.Less(t, time.Since(start), 11*messages*time.Millisecond, "at the readers' pace")
	})
}

// The same over real sockets, with no clock at all: readers that do more for
// each message than the sender.
func TestFloodOverTransports(t *testing.T) {
	const readers, messages, backlog = 20, 4000, 1 << 20
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithBacklog(backlog))
		flooder := s.Join("flooder")
		var wg sync.WaitGroup
		for i := range readers {
			c := s.Join(fmt.Sprint(i))
			wg.Go(func() {
				for n := range messages {
					for range 10 {
						runtime.Gosched()
					}
					m, err := c.Receive()
					if !assert.NoError(t, err) || !assert.Equal(t, fmt.Sprintf("%0500d", n), string(m.Body)) {
						return
					}
				}
			})
		}
		for n := range messages {
			require.NoError(t, flooder.Conn.Send(t.Context(), fmt.Appendf(nil, "%0500d", n)))
		}
		wg.Wait()
		assert.Zero(t, s.Stats().Leaves.SlowConsumer)
	})
}

// A member that never reads costs the others next to nothing: the time in which the
// room waits for it is a twentieth at most.
func TestStalledMemberHoldsNobody(t *testing.T) {
	const size, messages, backlog = 7000, 12000, 1 << 20 // of a size that log chunks end anywhere
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
		stalled := s.DialRaw()
		stalled.SendFrame("stalled")
		s.WantMembers("stalled")
		sender, reader := s.Join("sender"), s.Join("reader")
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range messages {
				time.Sleep(time.Millisecond)
				assert.NoError(t, sender.Conn.Send(context.Background(), make([]byte, size)))
			}
		})
		wg.Go(func() {
			for range messages {
				_, err := reader.Receive()
				assert.NoError(t, err)
			}
		})
		require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
		wg.Wait()
		assert.LessOrEqual(t, s.Stats().HoldTime, time.Since(start)/20)
	})
}

// One of a hundred never reads: the others get everything at once, and that one
// is evicted.
func TestStalledMemberIsEvicted(t *testing.T) {
	const members, messages, backlog = 100, 500, 128 << 10
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
		stalled := s.DialRaw()
		stalled.SendFrame("stalled")
		s.WantMembers("stalled")
		clients := make([]*chatroomtest.Client, members-1)
		for i := range clients {
			clients[i] = s.Join(fmt.Sprint(i))
		}
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range messages {
				assert.NoError(t, clients[0].Conn.Send(context.Background(), make([]byte, 1000)))
			}
		})
		for _, c := range clients[1:] {
			wg.Go(func() {
				for range messages {
					_, err := c.Receive()
					assert.NoError(t, err)
				}
			})
		}
		require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
		wg.Wait()
		assert.LessOrEqual(t, time.Since(start), longestHold)
		stalled.WantClosed()
		assert.Len(t, s.Members(), members-1)
		assert.Equal(t, uint64(1), s.Stats().Leaves.SlowConsumer)
	})
}

// In a room of two the one who listens is all there is to be fair to: a slow one
// is waited for, one that takes nothing is not for long.
func TestRoomOfTwo(t *testing.T) {
	const messages, backlog = 1000, 64 << 10
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
			alice, bob := s.Join("alice"), s.Join("bob")
			go func() {
				for range messages {
					assert.NoError(t, alice.Conn.Send(context.Background(), make([]byte, 1000)))
				}
			}()
			for range messages {
				time.Sleep(100 * time.Millisecond)
				_, err := bob.Receive()
				require.NoError(t, err)
			}
			s.WantMembers("alice", "bob")
		})
	})
	t.Run("slow, long messages", func(t *testing.T) {
		const messages = 20
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithBacklog(8<<20))
			alice := s.Join("alice")
			near, far := chatroomtest.NewLink(4 << 10)
			go func() { _ = s.ServeConn(t.Context(), far) }()
			bob := s.RawConn(near)
			bob.SendFrame("bob")
			s.WantMembers("alice", "bob")
			go func() {
				for range messages {
					assert.NoError(t, alice.Conn.Send(context.Background(), make([]byte, 1<<20)))
				}
			}()
			unit := len(chatroom.AppendFrame(nil, []byte("alice"))) + len(chatroom.AppendFrame(nil, make([]byte, 1<<20)))
			buf := make([]byte, 2000) // 20 kB a second, a minute for each message
			for left := messages * unit; left > 0; time.Sleep(100 * time.Millisecond) {
				n, err := bob.Read(buf)
				require.NoError(t, err)
				left -= n
			}
			s.WantMembers("alice", "bob")
			assert.NotZero(t, s.Stats().Holds)
		})
	})
	t.Run("stalled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
			alice, bob := s.Join("alice"), s.DialRaw()
			bob.SendFrame("bob")
			s.WantMembers("alice", "bob")
			start := time.Now()
			for range messages {
				alice.Send(string(make([]byte, 1000)))
			}
			require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrSlowConsumer)
			assert.LessOrEqual(t, time.Since(start), longestHold)
		})
	})
}

// When most of a room has stopped reading, publishing waits, the program's too, but
// not for long: then they are put out.
func TestMostOfTheRoomStalled(t *testing.T) {
	const backlog = 64 << 10
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
		alice, bob := s.Join("alice"), s.Join("bob")
		for range 3 {
			s.DialRaw().SendFrame("stalled")
		}
		s.WantMembers("alice", "bob", "stalled", "stalled", "stalled")
		start := time.Now()
		from := map[string]int{}
		var busy sync.WaitGroup
		busy.Go(func() {
			for range 200 {
				assert.NoError(t, alice.Conn.Send(context.Background(), make([]byte, 1000)))
			}
		})
		busy.Go(func() {
			for range 201 { // all the time, or he is slow himself
				m, err := bob.Receive()
				assert.NoError(t, err)
				from[m.From]++
			}
		})
		synctest.Wait()
		require.True(t, s.Stats().Held)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, s.Broadcast(ctx, "host", []byte("not published")))
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("when it goes on")))
		assert.LessOrEqual(t, time.Since(start), longestHold)
		alice.Want("host", "when it goes on")
		busy.Wait()
		assert.Equal(t, map[string]int{"alice": 200, "host": 1}, from)
		for range 3 {
			require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
		}
	})
}

// A held room lets go of its publishers at the server's end, and passes on what
// they had sent.
func TestEndWhileHeld(t *testing.T) {
	const backlog = 64 << 10
	flood := func(t *testing.T, s *chatroomtest.Server) (flooder *chatroomtest.Raw) {
		for range 3 {
			s.DialRaw().SendFrame("stalled")
		}
		flooder = s.DialRaw()
		flooder.SendFrame("flooder")
		synctest.Wait()
		go func() {
			for {
				if _, err := flooder.Write(chatroom.AppendFrame(nil, make([]byte, 1000))); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		require.True(t, s.Stats().Held)
		return flooder
	}
	t.Run("Close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
			flood(t, s)
			require.NoError(t, s.Server.Close())
			require.ErrorIs(t, s.WaitLeave("flooder"), chatroom.ErrServerClosed)
		})
	})
	t.Run("Shutdown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
			flood(t, s)
			start := time.Now()
			require.NoError(t, s.Shutdown(t.Context()))
			assert.Equal(t, 30*time.Second, time.Since(start), "the write timeout")
			require.ErrorIs(t, s.WaitLeave("flooder"), chatroom.ErrServerClosed)
		})
	})
	t.Run("the stalled leave", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
			var stalled []*chatroomtest.Raw
			for range 3 {
				raw := s.DialRaw()
				raw.SendFrame("stalled")
				stalled = append(stalled, raw)
			}
			synctest.Wait()
			flood(t, s)
			for _, raw := range stalled {
				raw.Cut()
			}
			synctest.Wait()
			assert.True(t, s.Stats().Held, "three of four are still far behind")
		})
	})
}

// Who floods a held room and goes is held like anybody else: memory stays bounded,
// and all that it had sent is passed on in the end, however long that takes.
func TestGoneWhileHeld(t *testing.T) {
	const backlog, messages, size = 64 << 10, 2000, 1000
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
		var reading sync.WaitGroup
		for i := range 3 {
			c := s.Join(fmt.Sprint(i))
			reading.Go(func() {
				for range messages {
					time.Sleep(10 * time.Millisecond)
					m, err := c.Receive()
					if !assert.NoError(t, err) {
						return
					}
					assert.Len(t, m.Body, size)
				}
			})
		}
		theirs, ours := chatroomtest.NewLink(4 << 20)
		flood := chatroom.AppendFrame(nil, []byte("flooder"))
		for range messages {
			flood = chatroom.AppendFrame(flood, make([]byte, size))
		}
		_, err := theirs.Write(flood)
		require.NoError(t, err)
		require.NoError(t, theirs.Close())
		var served sync.WaitGroup
		served.Go(func() { assert.NoError(t, s.ServeConn(t.Context(), ours), "a goodbye") })
		for range 10 {
			time.Sleep(time.Second)
			synctest.Wait()
			assert.LessOrEqual(t, s.Stats().Backlog, int64(backlog+40<<10), "a batch more at most")
		}
		assert.True(t, s.Stats().Held)
		reading.Wait()
		served.Wait()
		assert.Zero(t, s.Stats().Leaves.SlowConsumer)
	})
}

// A deafConn cannot be written to, once it has been told so, and goes on sending.
type deafConn struct {
	net.Conn
	deaf atomic.Bool
}

func (c *deafConn) Write(p []byte) (int, error) {
	if c.deaf.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// Last messages come to an end: who cannot be written to does not stay by sending
// on, although the room is held time and again.
func TestDeafFlooderGoes(t *testing.T) {
	const backlog = 64 << 10
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(backlog))
		var running sync.WaitGroup
		for range 3 {
			raw := s.DialRaw()
			raw.SendFrame("slow")
			running.Go(func() { // until the server ends
				for buf := make([]byte, 10_000); ; time.Sleep(5 * time.Millisecond) {
					if _, err := raw.Read(buf); err != nil {
						return
					}
				}
			})
		}
		s.WantMembers("slow", "slow", "slow")
		near, far := net.Pipe()
		flooder := &deafConn{Conn: far}
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(t.Context(), flooder) }()
		running.Go(func() {
			frame := chatroom.AppendFrame(nil, []byte("flooder"))
			for {
				if _, err := near.Write(frame); err != nil {
					return
				}
				frame = chatroom.AppendFrame(frame[:0], make([]byte, 1000))
			}
		})
		s.WantMembers("slow", "slow", "slow", "flooder")
		flooder.deaf.Store(true)
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("do you hear?")))
		before := s.Stats().Bytes
		select {
		case err := <-served:
			require.ErrorIs(t, err, syscall.EPIPE)
		case <-time.After(time.Minute):
			require.Fail(t, "it stays")
		}
		assert.Less(t, s.Stats().Bytes-before, uint64(16<<20))
		assert.NotZero(t, s.Stats().Holds)
		require.NoError(t, s.Server.Close())
		running.Wait()
	})
}

// The program's own flood is never held, so it makes slow consumers of those
// who cannot follow; the memory stays bounded.
func TestBroadcastFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(64<<10))
		s.DialRaw().SendFrame("stalled")
		s.WantMembers("stalled")
		for range 1000 {
			require.NoError(t, s.Broadcast(context.Background(), "host", make([]byte, 1000)))
			require.LessOrEqual(t, s.Stats().Backlog, int64(64<<10+3000))
		}
		require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
	})
}

// A member that is behind and sends itself does not get its own messages, only
// the gaps that they leave.
func TestSkipsWhileBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		raw := s.DialRaw()
		raw.SendFrame("raw")
		other := s.Join("other")
		want := ""
		go func() { _, _ = io.Copy(io.Discard, discardConn{other}) }()
		for i := range 500 {
			if i%3 == 0 {
				raw.SendFrame(fmt.Sprint("own ", i))
			} else {
				body := fmt.Sprint("other ", i)
				other.Send(body)
				want += string(message("other", body))
			}
			synctest.Wait()
		}
		raw.WantBytes(want)
		raw.WantNothing()
		raw.SendFrame("own last")
		raw.WantNothing()
	})
}

// discardConn reads a client's messages to no end.
type discardConn struct{ c *chatroomtest.Client }

func (d discardConn) Read([]byte) (int, error) {
	_, err := d.c.Receive()
	return 0, err
}

// A member whose writer is stalled pins the log; idle and departed members pin
// nothing.
func TestMemoryOfABusyRoomIsBounded(t *testing.T) {
	s := chatroomtest.NewServer(t, chatroom.WithBacklog(1<<20))
	a, b := s.Join("a"), s.Join("b")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	body := string(make([]byte, 8<<10))
	for range 4000 {
		a.Send(body)
		b.Want("a", body)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(2<<20))
}

// A join can make those far behind a minority, which holds up nobody.
func TestJoinReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithBacklog(64<<10), chatroom.WithWriteTimeout(-1))
		flooder := s.Join("flooder")
		s.DialRaw().SendFrame("stalled")
		s.DialRaw().SendFrame("stalled")
		synctest.Wait()
		go func() {
			for range 200 {
				if flooder.Conn.Send(context.Background(), make([]byte, 1000)) != nil {
					return
				}
			}
		}()
		synctest.Wait()
		require.True(t, s.Stats().Held)
		for range 4 {
			c := s.Join("reader")
			go func() { _, _ = io.Copy(io.Discard, discardConn{c}) }()
		}
		time.Sleep(time.Minute)
		assert.False(t, s.Stats().Held)
		assert.Equal(t, uint64(200), s.Stats().Messages)
	})
}

// A stalled member that sends itself leaves very many gaps in what it is owed.
func TestManySkips(t *testing.T) {
	const messages = 20_000
	s := chatroomtest.NewServer(t, chatroom.WithBacklog(64<<20))
	raw := s.DialRaw()
	raw.SendFrame("raw")
	other := s.Join("other")
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		for range messages {
			_, err := other.Receive()
			assert.NoError(t, err)
			assert.NoError(t, other.Conn.Send(context.Background(), nil))
		}
	}()
	go func() {
		frame := chatroom.AppendFrame(nil, nil)
		for range messages {
			_, err := raw.Write(frame)
			assert.NoError(t, err)
		}
	}()
	receive(t, echoed, "the messages")
	raw.WantBytes(strings.Repeat(string(message("other", "")), messages))
}

package chatroom_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestMessageGoesToEveryoneElse(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		alice.Send("hello")
		bob.Want("alice", "hello")
		carol.Want("alice", "hello")
		bob.Send("")
		alice.Want("bob", "")
		carol.Want("bob", "")
		carol.Send("grüße \x00\xff")
		alice.Want("carol", "grüße \x00\xff")
		bob.Want("carol", "grüße \x00\xff")
		alice.WantQuiet(quiet)
		bob.WantQuiet(quiet)
		carol.WantQuiet(quiet)
	})
}

// What a server writes is exactly this, name and message together.
func TestWireToClient(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		raw := s.DialRaw()
		raw.SendFrame("raw")
		s.WantMembers("raw")
		alice := s.Join("alice")
		alice.Send("hello")
		raw.WantBytes("5         alice5         hello")
		require.NoError(t, s.Broadcast(context.Background(), "", nil))
		raw.WantBytes("0         0         ")
	})
}

// Exclusion goes by connection: a member with the sender's name is not the sender.
func TestDuplicateNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		one, two := s.Join("same"), s.Join("same")
		s.WantMembers("same", "same")
		one.Send("to the other")
		two.Want("same", "to the other")
		one.WantNothing()
		assert.Less(t, one.Member.ID, two.Member.ID)
		two.Close()
		require.NoError(t, s.WaitLeave("same"))
		s.WantMembers("same")
	})
}

// A stream may be cut at any byte: each cut gives the same messages.
func TestFramingCutAtEachByte(t *testing.T) {
	stream := ""
	for _, payload := range []string{"raw", "one", "", strings.Repeat("long ", 300)} {
		stream += string(chatroom.AppendFrame(nil, []byte(payload)))
	}
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		bob := s.Join("bob")
		for cut := 1; cut < len(stream); cut += max(1, min(cut/8, 97)) {
			raw := s.DialRaw()
			raw.SendBytes(stream[:cut])
			raw.SendBytes(stream[cut:])
			bob.Want("raw", "one")
			bob.Want("raw", "")
			bob.Want("raw", strings.Repeat("long ", 300))
			require.NoError(t, raw.Close())
			require.NoError(t, s.WaitLeave("raw"), "cut after %d bytes", cut)
		}
		one := s.DialRaw()
		for i := range stream {
			one.SendBytes(stream[i : i+1])
		}
		bob.Want("raw", "one")
		bob.Want("raw", "")
		bob.Want("raw", strings.Repeat("long ", 300))
	})
}

// Every way a member can go: it is off the list, its connection is closed, its
// leave is told once with the reason, and the others go on.
func TestDisconnectCleanUp(t *testing.T) {
	ways := []struct {
		name string
		go_  func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw)
		want error // nil for a clean goodbye
	}{
		{"goodbye", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			require.NoError(t, m.Close())
		}, nil},
		{"goodbye after a message", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			m.SendFrame("last words")
			require.NoError(t, m.Close())
		}, nil},
		{"half a header", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			m.SendBytes("12")
			require.NoError(t, m.Close())
		}, io.ErrUnexpectedEOF},
		{"half a payload", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			m.SendBytes("12        half")
			require.NoError(t, m.Close())
		}, io.ErrUnexpectedEOF},
		{"reset", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			m.Cut()
		}, syscall.ECONNRESET},
		{"garbage", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			m.SendBytes("GET / HTTP")
			m.WantClosed()
		}, chatroom.ErrBadHeader},
		{"too large", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			m.SendBytes("9999999999")
			m.WantClosed()
		}, chatroom.ErrFrameTooLarge},
		{"server closed", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			require.NoError(t, s.Server.Close())
			m.WantClosed()
		}, chatroom.ErrServerClosed},
		{"server shut down", func(t *testing.T, s *chatroomtest.Server, m *chatroomtest.Raw) {
			done := make(chan error, 1)
			go func() { done <- s.Shutdown(testContext(t)) }()
			m.WantClosed()
			require.NoError(t, m.Close())
			require.NoError(t, receive(t, done, "Shutdown"))
		}, chatroom.ErrServerClosed},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				var mu sync.Mutex
				leaves := map[string]int{}
				s := tr.newServer(t, chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) {
					mu.Lock()
					defer mu.Unlock()
					leaves[m.Name]++
				}))
				m := s.DialRaw()
				m.SendFrame("goner")
				s.WantMembers("goner")
				way.go_(t, s, m)
				reason := s.WaitLeave("goner")
				switch {
				case way.want == syscall.ECONNRESET && !tr.resets:
				case way.want == nil:
					require.NoError(t, reason)
				default:
					require.ErrorIs(t, reason, way.want)
				}
				assert.Empty(t, s.Members())
				mu.Lock()
				assert.Equal(t, map[string]int{"goner": 1}, leaves)
				mu.Unlock()
				if way.want != chatroom.ErrServerClosed {
					a, b := s.Join("a"), s.Join("b")
					a.Send("still here")
					b.Want("a", "still here")
				}
			})
		}
	})
}

func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(100))
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("to nobody")))
		alice := s.Join("alice")
		body := []byte("hello")
		require.NoError(t, s.Broadcast(context.Background(), "host", body))
		copy(body, "XXXXX")
		alice.Want("host", "hello")
		require.ErrorIs(t, s.Broadcast(context.Background(), "host", make([]byte, 101)), chatroom.ErrFrameTooLarge)
		require.ErrorIs(t, s.Broadcast(context.Background(), strings.Repeat("x", 101), nil), chatroom.ErrFrameTooLarge)
		require.NoError(t, s.Broadcast(context.Background(), "host", make([]byte, 100)))
		alice.Want("host", string(make([]byte, 100)))
		require.NoError(t, s.Server.Close())
		require.ErrorIs(t, s.Broadcast(context.Background(), "host", nil), chatroom.ErrServerClosed)
	})
}

// What was published before the first member, or before any other, is not for it.
func TestNothingFromBeforeTheJoin(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("to nobody")))
		alice := s.Join("alice")
		alice.WantQuiet(quiet)
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("to alice")))
		alice.Want("host", "to alice")
		bob := s.Join("bob")
		bob.WantQuiet(quiet)
		assert.Equal(t, uint64(2), s.Stats().Messages)
	})
}

func TestMembersAndStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		assert.Empty(t, s.Members())
		a := s.Join("a")
		time.Sleep(time.Second)
		nc, err := s.Listener.DialFrom(t.Context(), chatroomtest.Addr("10.0.0.7:99"))
		require.NoError(t, err)
		b := s.JoinConn(nc, "b")
		c := s.Join("c")
		got := s.Members()
		require.Len(t, got, 3)
		assert.Equal(t, []string{"a", "b", "c"}, []string{got[0].Name, got[1].Name, got[2].Name})
		assert.Equal(t, "10.0.0.7:99", got[1].RemoteAddr.String())
		assert.Equal(t, b.Member, got[1])
		assert.Equal(t, time.Second, got[1].JoinedAt.Sub(got[0].JoinedAt))
		assert.True(t, got[0].ID < got[1].ID && got[1].ID < got[2].ID)
		b.Close()
		require.NoError(t, s.WaitLeave("b"))
		s.WantMembers("a", "c")
		d := s.Join("b")
		assert.NotEqual(t, b.Member.ID, d.Member.ID)

		c.Send("12345")
		synctest.Wait()
		st := s.Stats()
		assert.Equal(t, chatroom.Stats{
			RoomStats: chatroom.RoomStats{
				Members: 3, Joins: 4, Leaves: chatroom.Leaves{Goodbye: 1},
				Messages: 1, Bytes: 26, Deliveries: 2, Backlog: 26,
			},
			Rooms: 1, Connections: 3, Accepted: 4,
		}, st)
		a.Want("c", "12345")
		d.Want("c", "12345")
		s.WaitWritten()
		assert.Zero(t, s.Stats().Backlog)
	})
}

// All members see one sequence, less their own messages, and each sender's
// messages in the order sent.
func TestOneOrder(t *testing.T) {
	const members, each = 8, 200
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		observer := s.Join("observer")
		clients := make([]*chatroomtest.Client, members)
		for i := range clients {
			clients[i] = s.Join(fmt.Sprint(i))
		}
		got := make([][]string, members)
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() {
				for n := range each {
					assert.NoError(t, c.Conn.Send(t.Context(), fmt.Append(nil, n)))
				}
			})
			wg.Go(func() {
				for range (members - 1) * each {
					m, err := c.Receive()
					if !assert.NoError(t, err) {
						return
					}
					got[i] = append(got[i], m.From+":"+string(m.Body))
				}
			})
		}
		var order []string
		next := map[string]int{}
		for range members * each {
			m, err := observer.Receive()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(next[m.From]), string(m.Body), "the order of one sender")
			next[m.From]++
			order = append(order, m.From+":"+string(m.Body))
		}
		wg.Wait()
		for i := range clients {
			var want []string
			for _, entry := range order {
				if !strings.HasPrefix(entry, fmt.Sprint(i)+":") {
					want = append(want, entry)
				}
			}
			require.Equal(t, want, got[i], "member %d", i)
		}
	})
}

// Messages of many sizes, around those of chunks and buffers, arrive whole.
func TestSizes(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		alice, bob := s.Join("alice"), s.Join("bob")
		for _, around := range []int{0, 502, 512, 4 << 10, 32 << 10, 64 << 10, 1 << 20} {
			for _, size := range []int{around - 15, around - 1, around, around + 1, around + 15} {
				if size < 0 || size > 1<<20 {
					continue
				}
				body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
				sent := make(chan error, 1)
				go func() { sent <- alice.Conn.Send(context.Background(), []byte(body)) }()
				m, err := bob.Receive()
				require.NoError(t, err)
				require.NoError(t, receive(t, sent, "Send"))
				require.Len(t, m.Body, len(body))
				if body != string(m.Body) { // which is too long to print
					require.Fail(t, "another body", "size %d", size)
				}
			}
		}
		require.ErrorIs(t, alice.Conn.Send(t.Context(), make([]byte, 1<<20+1)), chatroom.ErrFrameTooLarge)
		alice.Send("goes on")
		bob.Want("alice", "goes on")
	})
}

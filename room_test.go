package chatroom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
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
		alice.WantNothing()
		bob.WantNothing()
		carol.WantNothing()
	})
}

// What a server writes is exactly this, name and message together.
func TestWireToClient(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		raw := s.Raw()
		raw.SendFrame("raw")
		s.WantMembers("raw")
		alice := s.Join("alice")
		alice.Send("hello")
		raw.WantBytes("5         alice5         hello")
		require.NoError(t, s.Broadcast("", nil))
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
			raw := s.Raw()
			raw.SendBytes(stream[:cut])
			raw.SendBytes(stream[cut:])
			bob.Want("raw", "one")
			bob.Want("raw", "")
			bob.Want("raw", strings.Repeat("long ", 300))
			require.NoError(t, raw.Close())
			require.NoError(t, s.WaitLeave("raw"), "cut after %d bytes", cut)
		}
		one := s.Raw()
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
				s := tr.newServer(t, chatroom.WithOnLeave(func(m chatroom.Member, _ error) {
					mu.Lock()
					defer mu.Unlock()
					leaves[m.Name]++
				}))
				m := s.Raw()
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

// A member that leaves while it is owed more than its connection holds is gone
// at once too.
func TestLeaveWhileBlockedOnWrite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		m := s.Raw()
		m.SendFrame("goner")
		s.WantMembers("goner")
		for range 40 {
			require.NoError(t, s.Broadcast("host", make([]byte, 256<<10)))
		}
		m.Cut()
		s.WaitLeave("goner")
		assert.Empty(t, s.Members())
	})
}

// The last words of a client that says goodbye while it is being written to
// reach the room, and its leave is clean.
func TestLastWordsBesideAFailedWrite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		bob := s.Join("bob")
		for i := range 20 {
			name := fmt.Sprintf("goner %d", i)
			alice := s.Join(name)
			alice.Send("last words")
			alice.Close()
			for range 3 {
				require.NoError(t, s.Broadcast("host", []byte("anyone there?")))
			}
			words := 0
			for range 4 {
				m, err := bob.Receive()
				require.NoError(t, err)
				if m.From == name {
					words++
				}
			}
			assert.Equal(t, 1, words)
			require.NoError(t, s.WaitLeave(name))
		}
	})
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		ok   bool
	}{
		{"a", true}, {"Ünïcödé 名前", true}, {strings.Repeat("x", 64), true}, {" ", true},
		{"", false}, {strings.Repeat("x", 65), false}, {"a\x00b", false}, {"a\nb", false},
		{"\x1b[2J", false}, {"a\u0085b", false}, {"a\x7f", false}, {"a\xffb", false},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			joined := 0
			s := chatroomtest.NewServer(t,
				chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
				chatroom.WithOnJoin(func(chatroom.Member) { joined++ }),
				chatroom.WithOnLeave(func(chatroom.Member, error) { joined++ }))
			near, far := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- s.ServeConn(t.Context(), far) }()
			_, err := near.Write(chatroom.AppendFrame(nil, []byte(tt.name)))
			require.NoError(t, err)
			if tt.ok {
				synctest.Wait()
				s.WantMembers(tt.name)
				require.NoError(t, near.Close())
				require.NoError(t, <-served)
				return
			}
			err = <-served
			require.ErrorIs(t, err, chatroom.ErrNameRejected, "name %q", tt.name)
			assert.ErrorContains(t, err, fmt.Sprintf("%.100q", tt.name))
			_, err = near.Read(make([]byte, 1))
			assert.Equal(t, io.EOF, err, "the connection is closed")
			assert.Empty(t, s.Members())
			synctest.Wait()
			assert.Zero(t, joined, "no hook hears of it")
			assert.Contains(t, log.String(), "name rejected")
			assert.Equal(t, uint64(1), s.Stats().Refused)
		})
	}
}

func TestNameRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errTaken := errors.New("taken")
		s := chatroomtest.NewServer(t, chatroom.WithNameRule(func(name string) error {
			switch name {
			case "taken":
				return errTaken
			case "panic":
				panic("rule")
			}
			return nil
		}))
		s.Join("")
		s.Join(strings.Repeat("x", 1000))
		raw := s.Raw()
		raw.SendFrame("taken")
		raw.WantClosed()
		raw = s.Raw()
		raw.SendFrame("panic")
		raw.WantClosed()
		near, far := net.Pipe()
		go func() { _, _ = near.Write(chatroom.AppendFrame(nil, []byte("taken"))) }()
		require.ErrorIs(t, s.ServeConn(t.Context(), far), errTaken)
	})
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		for _, part := range []string{"", "3   ", "3         ab"} {
			start := time.Now()
			raw := s.Raw()
			raw.SendBytes(part)
			raw.WantClosed()
			assert.Equal(t, 10*time.Second, time.Since(start))
		}
		near, far := net.Pipe()
		defer near.Close()
		require.ErrorIs(t, s.ServeConn(t.Context(), far), os.ErrDeadlineExceeded)
		assert.Equal(t, uint64(4), s.Stats().Refused)
	})
}

func TestTimeoutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHandshakeTimeout(-1), chatroom.WithWriteTimeout(-1), chatroom.WithIdleTimeout(-1))
		raw := s.Raw()
		time.Sleep(20 * time.Hour)
		raw.SendFrame("late")
		s.WantMembers("late")
		require.NoError(t, s.Broadcast("host", []byte("unread")))
		time.Sleep(20 * time.Hour)
		s.WantMembers("late")
		raw.WantFrame("host")
		raw.WantFrame("unread")
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithIdleTimeout(time.Hour))
		start := time.Now()
		alice, bob := s.Join("alice"), s.Join("bob")
		time.Sleep(50 * time.Minute)
		alice.Send("keeps alice")
		bob.Want("alice", "keeps alice")
		bob.WantClosed()
		assert.Equal(t, time.Hour, time.Since(start))
		require.ErrorIs(t, s.WaitLeave("bob"), os.ErrDeadlineExceeded)
		alice.WantClosed()
		assert.Equal(t, time.Hour+50*time.Minute, time.Since(start))
	})
}

// A member that takes a little now and then is not timed out, however much it is
// owed; one that takes nothing is, after exactly the timeout.
func TestWriteTimeoutMeasuresProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(time.Minute))
		raw := s.Raw()
		raw.SendFrame("slow")
		s.WantMembers("slow")
		body := strings.Repeat("x", 100)
		require.NoError(t, s.Broadcast("h", []byte(body)))
		require.NoError(t, s.Broadcast("h", []byte("never read")))
		owed := string(chatroom.AppendFrame([]byte("1         h"), []byte(body)))
		for i := range owed {
			time.Sleep(59 * time.Second)
			raw.WantBytes(owed[i : i+1])
		}
		start := time.Now()
		reason := s.WaitLeave("slow")
		require.ErrorIs(t, reason, os.ErrDeadlineExceeded)
		require.ErrorIs(t, reason, chatroom.ErrSlowConsumer)
		assert.LessOrEqual(t, time.Since(start), 2*time.Minute)
		assert.Equal(t, uint64(1), s.Stats().SlowConsumers)
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var story []string
		release := make(chan struct{})
		var s *chatroomtest.Server
		s = chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(m chatroom.Member) {
				story = append(story, "first hook "+m.Name)
				if m.Name == "alice" {
					assert.Len(t, s.Members(), 2, "alice is listed")
					<-release
				}
			}),
			chatroom.WithOnJoin(func(m chatroom.Member) { story = append(story, "second hook "+m.Name) }),
			chatroom.WithOnLeave(func(m chatroom.Member, reason error) {
				story = append(story, fmt.Sprintf("left %s %v %d", m.Name, reason, len(s.Members())))
			}))
		bob := s.Join("bob")
		raw := s.Raw()
		raw.SendBytes("5         alice23        before the hook returns")
		bob.WantNothing()
		close(release)
		bob.Want("alice", "before the hook returns")
		require.NoError(t, raw.Close())
		require.NoError(t, s.WaitLeave("alice"))
		assert.Equal(t, []string{"first hook bob", "second hook bob", "first hook alice", "second hook alice", "left alice <nil> 1"}, story)
	})
}

func TestHookPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		told := 0
		s := chatroomtest.NewServer(t,
			chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
			chatroom.WithOnJoin(func(m chatroom.Member) {
				if m.Name == "join" {
					panic("in the join hook")
				}
			}),
			chatroom.WithOnLeave(func(m chatroom.Member, _ error) {
				told++
				if m.Name == "leave" {
					panic("in the leave hook")
				}
			}))
		other := s.Join("other")
		raw := s.Raw()
		raw.SendFrame("join")
		raw.WantClosed()
		require.ErrorContains(t, s.WaitLeave("join"), "in the join hook")
		leave := s.Join("leave")
		leave.Close()
		require.NoError(t, s.WaitLeave("leave"))
		assert.Equal(t, 2, told)
		s.WantMembers("other")
		other.WantNothing()
		assert.Contains(t, log.String(), "in the join hook")
		assert.Contains(t, log.String(), "in the leave hook")
		assert.Contains(t, log.String(), "TestHookPanics", "the stack is logged")
	})
}

// A hook may end its goroutine, as a failed assertion in it does.
func TestHookExitsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 1)
		s := chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(m chatroom.Member) { runtime.Goexit() }),
			chatroom.WithOnLeave(func(_ chatroom.Member, reason error) { left <- reason }))
		raw := s.Raw()
		raw.SendFrame("exit")
		raw.WantClosed()
		require.Error(t, <-left)
		assert.Empty(t, s.Members())
	})
}

func TestHooksMayCallTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *chatroomtest.Server
		s = chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(m chatroom.Member) {
				assert.NoError(t, s.Broadcast("host", []byte("welcome "+m.Name)))
				s.Stats()
			}),
			chatroom.WithOnLeave(func(m chatroom.Member, _ error) {
				if err := s.Broadcast("host", []byte("goodbye "+m.Name)); err != nil {
					assert.ErrorIs(t, err, chatroom.ErrServerClosed)
				}
				s.Members()
			}))
		alice := s.Join("alice")
		alice.Want("host", "welcome alice")
		bob := s.Join("bob")
		alice.Want("host", "welcome bob")
		bob.Want("host", "welcome bob")
		bob.Close()
		alice.Want("host", "goodbye bob")
	})
}

func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(100))
		require.NoError(t, s.Broadcast("host", []byte("to nobody")))
		alice := s.Join("alice")
		body := []byte("hello")
		require.NoError(t, s.Broadcast("host", body))
		copy(body, "XXXXX")
		alice.Want("host", "hello")
		require.ErrorIs(t, s.Broadcast("host", make([]byte, 101)), chatroom.ErrFrameTooLarge)
		require.ErrorIs(t, s.Broadcast(strings.Repeat("x", 101), nil), chatroom.ErrFrameTooLarge)
		require.NoError(t, s.Broadcast("host", make([]byte, 100)))
		alice.Want("host", string(make([]byte, 100)))
		require.NoError(t, s.Server.Close())
		require.ErrorIs(t, s.Broadcast("host", nil), chatroom.ErrServerClosed)
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
			Members: 3, Connections: 3, Accepted: 4, Joined: 4,
			Messages: 1, Bytes: 26, Backlog: 26,
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

func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := chatroomtest.NewServer(t, chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		alice := s.Join("alice")
		alice.Send(strings.Repeat("x", 1000))
		synctest.Wait()
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		assert.Contains(t, log.String(), "msg=listening addr=pipe")
		assert.Contains(t, log.String(), "msg=accepted id=1 name=alice remote=pipe:1")
		assert.Contains(t, log.String(), "msg=message id=1 name=alice remote=pipe:1 text="+strings.Repeat("x", 256)+" bytes=1000")
		assert.Contains(t, log.String(), "msg=closed id=1 name=alice remote=pipe:1\n")
	})
}

// Each write holds whole pairs of name and message, whatever their sizes: the
// tutorials' clients read a name and give up when its message is not there yet.
func TestWritesAreWholePairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		raw := s.Raw()
		raw.SendFrame("raw")
		other := s.Join("other")
		total := 0
		for i := range 400 {
			size := (i * 7919) % 20000
			if i%50 == 49 {
				size = 200 << 10
			}
			total += size
			require.NoError(t, s.Broadcast("host", make([]byte, size)))
			_, err := other.Receive()
			require.NoError(t, err)
			if i%5 == 0 {
				raw.SendFrame("own") // a gap in what raw is sent
				_, err := other.Receive()
				require.NoError(t, err)
			}
		}
		buf := make([]byte, 1<<20)
		for writes := 0; total > 0; writes++ {
			n, err := raw.Read(buf)
			require.NoError(t, err)
			for r := bytes.NewReader(buf[:n]); r.Len() > 0; {
				from, err := chatroom.ReadFrame(r, -1)
				require.NoError(t, err)
				require.Equal(t, "host", string(from))
				body, err := chatroom.ReadFrame(r, -1)
				require.NoError(t, err, "write %d of %d bytes ends inside a pair", writes, n)
				total -= len(body)
			}
		}
		assert.Zero(t, total)
	})
}

// A leave hook that ends its goroutine does not keep the others from being told.
func TestLeaveHookExitsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnLeave(func(chatroom.Member, error) { runtime.Goexit() }))
		s.Join("alice").Close()
		require.NoError(t, s.WaitLeave("alice"))
	})
}

// A brittleConn is a connection on top of another that shows nothing of it, and of
// which a write that meets its deadline cannot be resumed, as with wrapped TLS.
type brittleConn struct {
	net.Conn
	broken error
}

func (c *brittleConn) Write(p []byte) (n int, err error) {
	if c.broken == nil {
		n, c.broken = c.Conn.Write(p)
	}
	return n, c.broken
}

// A member that takes something now and then keeps a brittle connection.
func TestWriteTimeoutOnBrittleConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(10*time.Second))
		near, far := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(context.Background(), &brittleConn{Conn: far}) }()
		_, err := near.Write(chatroom.AppendFrame(nil, []byte("alice")))
		require.NoError(t, err)
		s.WantMembers("alice")
		buf := make([]byte, 1000)
		for range 20 {
			require.NoError(t, s.Broadcast("host", []byte("hello")))
			time.Sleep(6 * time.Second)
			_, err := near.Read(buf)
			require.NoError(t, err)
			s.WantMembers("alice")
		}
		require.NoError(t, near.Close())
		require.NoError(t, <-served)
	})
}

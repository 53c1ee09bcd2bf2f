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
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// byName is an admit hook: "alice@red" joins the room red as alice.
func byName(_ context.Context, j *chatroom.Join) error {
	j.Name, j.Room, _ = strings.Cut(j.Name, "@")
	return nil
}

func TestRooms(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithAdmit(byName))
		join := func(name string) *chatroomtest.Raw {
			raw := s.DialRaw()
			short, _, _ := strings.Cut(name, "@")
			names := append(memberNames(s.Server), short)
			raw.SendFrame(name)
			s.WantMembers(names...)
			return raw
		}
		alice, bob := join("alice@red"), join("bob@red")
		carol, dave := join("carol@blue"), join("dave")
		alice.SendFrame("in red")
		bob.Want("alice", "in red")
		require.NoError(t, s.Room("blue").Broadcast(t.Context(), "host", []byte("in blue")))
		carol.Want("host", "in blue")
		require.NoError(t, s.Room("nobody's").Broadcast(t.Context(), "host", []byte("to nobody")))
		other := chatroomtest.NewServer(t)
		for range 4 {
			other.Join("of another server")
		}
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("to all"), append(other.Members(), s.Room("red").Members()[1])...))
		alice.Want("host", "to all")
		carol.Want("host", "to all")
		dave.Want("host", "to all")
		bob.WantQuiet(quiet)

		assert.Equal(t, []chatroom.Room{s.Room(""), s.Room("blue"), s.Room("red")}, s.Rooms())
		assert.Equal(t, "red", s.Rooms()[2].Name())
		assert.Equal(t, 2, s.Room("red").Stats().Members)
		assert.Equal(t, s.Room("red"), s.Members()[0].Room())
		assert.Empty(t, s.Room("nobody's").Members())
		assert.Zero(t, s.Room("nobody's").Stats())
		st := s.Stats()
		assert.Equal(t, 4, st.Members)
		assert.EqualValues(t, 4, st.Joins)
		assert.EqualValues(t, 5, st.Messages, "one to red, one to blue, one to each of three")

		require.NoError(t, carol.Close())
		require.NoError(t, s.WaitLeave("carol"))
		assert.Equal(t, []chatroom.Room{s.Room(""), s.Room("red")}, s.Rooms())
		assert.EqualValues(t, 5, s.Stats().Messages, "what was said in rooms that are gone counts")
	})
}

func memberNames(s *chatroom.Server) (names []string) {
	for _, m := range s.Members() {
		names = append(names, m.Name)
	}
	return names
}

// Rooms that empty race with who joins next, and nothing is left of them.
func TestRoomsComeAndGo(t *testing.T) {
	const conns, times = 8, 50
	s := chatroomtest.NewServer(t, chatroom.WithAdmit(byName))
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			for j := range times {
				c, err := chatroom.Dial(t.Context(), "", "", fmt.Sprintf("member %d@room %d", i, j%3), chatroom.WithDialer(s.Listener.DialContext))
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, c.Send(t.Context(), []byte("hello")))
				assert.NoError(t, c.Close())
			}
		})
	}
	wg.Wait()
	s.WantMembers()
	require.NoError(t, s.Shutdown(testContext(t)))
	assert.Equal(t, 1, s.Stats().Rooms)
	assert.EqualValues(t, conns*times, s.Stats().Joins)
}

func TestAdmit(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		no := errors.New("members only")
		s := tr.newServer(t, chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
			_, ok := ctx.Deadline()
			assert.True(t, ok)
			if j.Name == "mallory" {
				_, err := j.Conn.Write(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("host")), []byte("members only")))
				assert.NoError(t, err)
				return no
			}
			j.Name, j.Value = strings.ToLower(j.Name), 7
			return nil
		}), chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			if j.Name == "bad" {
				j.Name = "bad\n"
			}
			return nil
		}))
		raw := s.DialRaw()
		raw.SendFrame("mallory")
		raw.Want("host", "members only")
		raw.WantClosed()
		require.ErrorIs(t, s.Refusal("bad"), chatroom.ErrNameRejected)
		alice := s.DialRaw()
		alice.SendFrame("ALICE")
		s.WantMembers("alice")
		assert.Equal(t, 7, s.Members()[0].Value)
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hi")))
		alice.Want("host", "hi")
	})
}

// An admit hook may take as long as the handshake, and a panic lets nobody in.
func TestAdmitTimeoutAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHandshakeTimeout(time.Minute), chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
			if j.Name == "slow" {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			panic("boo")
		}))
		start := time.Now()
		require.ErrorIs(t, s.Refusal("slow"), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		require.ErrorIs(t, s.Refusal("other"), chatroom.ErrHookFailed)
		assert.Equal(t, chatroom.Refusals{Hook: 2}, s.Stats().Refusals)
	})
}

func TestFilter(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		rude := errors.New("rude")
		s := tr.newServer(t, chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
			assert.NoError(t, ctx.Err())
			assert.Equal(t, m.Name, msg.From)
			switch string(msg.Body) {
			case "drop":
				return fmt.Errorf("not now: %w", chatroom.ErrDrop)
			case "/who":
				return errors.Join(m.Send(ctx, "host", fmt.Append(nil, len(m.Room().Members()), " here")), chatroom.ErrDrop)
			case "rude":
				return rude
			case "panic":
				panic("boo")
			default:
				msg.From, msg.Body = strings.ToUpper(msg.From), append(msg.Body, '!')
				return nil
			}
		}))
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("drop")
		alice.Send("/who")
		alice.Want("host", "2 here")
		alice.Send("hello")
		bob.Want("ALICE", "hello!")
		alice.Send("rude")
		require.ErrorIs(t, s.WaitLeave("alice"), rude)
		carol := s.Join("carol")
		carol.Send("panic")
		require.ErrorIs(t, s.WaitLeave("carol"), chatroom.ErrHookFailed)
		bob.WantQuiet(quiet)
	})
}

// A filter that waits holds nobody but its member, and ends with it.
func TestFilterThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
			if string(msg.Body) == "wait" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}))
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		alice.Send("wait")
		bob.Send("hello")
		carol.Want("bob", "hello")
		alice.Want("bob", "hello")
		alice.Member.Kick(nil)
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
		bob.Send("wait")
		require.NoError(t, s.Shutdown(t.Context()))
		require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrServerClosed)
	})
}

// Private text and exceptions have their places in the one order.
func TestPrivateTextAndExcept(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		for i := range 50 {
			require.NoError(t, s.Broadcast(t.Context(), "host", fmt.Append(nil, "all ", i)))
			require.NoError(t, bob.Member.Send(t.Context(), "host", fmt.Append(nil, "bob ", i)))
			require.NoError(t, s.Room("").Broadcast(t.Context(), "host", fmt.Append(nil, "carol ", i), alice.Member, bob.Member))
			require.NoError(t, s.Broadcast(t.Context(), "host", fmt.Append(nil, "not carol ", i), carol.Member))
		}
		for i := range 50 {
			for c, kinds := range map[*chatroomtest.Client][]string{alice: {"all", "not carol"}, bob: {"all", "bob", "not carol"}, carol: {"all", "carol"}} {
				for _, kind := range kinds {
					c.Want("host", fmt.Sprint(kind, " ", i))
				}
			}
		}
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		require.ErrorIs(t, alice.Member.Send(t.Context(), "host", nil), chatroom.ErrMemberGone)
		require.ErrorIs(t, chatroom.Member{}.Send(t.Context(), "host", nil), chatroom.ErrMemberGone)
		chatroom.Member{}.Kick(nil)
		assert.Equal(t, chatroom.Room{}, chatroom.Member{}.Room())
	})
}

// A kick writes what is owed, farewells included, and nothing that comes after it.
func TestKick(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		enough := errors.New("that is enough")
		alice, bob := s.Join("alice"), s.Join("bob")
		for i := range 100 {
			require.NoError(t, s.Broadcast(t.Context(), "host", fmt.Append(nil, i)))
		}
		require.NoError(t, bob.Member.Send(t.Context(), "host", []byte("goodbye, bob")))
		bob.Member.Kick(enough)
		require.Equal(t, []string{"alice"}, memberNames(s.Server))
		require.ErrorIs(t, bob.Member.Send(t.Context(), "host", nil), chatroom.ErrMemberGone)
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("bob is gone")))
		for i := range 100 {
			bob.Want("host", fmt.Sprint(i))
			alice.Want("host", fmt.Sprint(i))
		}
		bob.Want("host", "goodbye, bob")
		_, err := bob.Receive()
		require.Equal(t, io.EOF, err)
		alice.Want("host", "bob is gone")
		reason := s.WaitLeave("bob")
		require.ErrorIs(t, reason, chatroom.ErrKicked)
		require.ErrorIs(t, reason, enough)
		bob.Member.Kick(nil) // has left
	})
}

// One that takes nothing has 5 s, which nobody else waits for.
func TestKickOfAStuckMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		raw, alice := s.DialRaw(), s.Join("alice")
		raw.SendFrame("stuck")
		s.WantMembers("alice", "stuck")
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hello")))
		alice.Want("host", "hello")
		start := time.Now()
		s.Members()[1].Kick(nil)
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("gone")))
		alice.Want("host", "gone")
		require.Zero(t, time.Since(start))
		require.ErrorIs(t, s.WaitLeave("stuck"), chatroom.ErrKicked)
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

// Kicks from hooks: of oneself, of each other, in every hook.
func TestKicksFromHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others := func(m chatroom.Member) {
			for _, other := range m.Room().Members() {
				if other.ID != m.ID {
					other.Kick(nil)
				}
			}
		}
		s := chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				if m.Name == "himself" {
					m.Kick(nil)
				}
			}),
			chatroom.WithOnMessage(func(_ context.Context, m chatroom.Member, _ *chatroom.Message) error {
				others(m)
				return nil
			}),
			chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) {
				m.Kick(nil)
				if m.Name == "last" {
					others(m)
				}
			}))
		raw := s.DialRaw()
		raw.SendFrame("himself")
		require.ErrorIs(t, s.WaitLeave("himself"), chatroom.ErrKicked)
		a, b := s.Join("a"), s.Join("b")
		_ = a.Conn.Send(t.Context(), []byte("both at once"))
		_ = b.Conn.Send(t.Context(), []byte("both at once")) // she may have left
		synctest.Wait()
		require.LessOrEqual(t, len(s.Members()), 1)
		require.Error(t, s.WaitLeave(map[bool]string{true: "b", false: "a"}[len(s.Members()) == 1 && s.Members()[0].Name == "a"]))
		c := s.Join("c")
		last := s.Join("last")
		last.Close()
		require.ErrorIs(t, s.WaitLeave("c"), chatroom.ErrKicked)
		_ = c
	})
}

// History and what follows: no gap, no double, however much is said meanwhile.
func TestHistory(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithHistory(3))
		for i := range 5 {
			require.NoError(t, s.Room("").Broadcast(t.Context(), "host", fmt.Append(nil, "seed ", i)))
		}
		alice := s.Join("alice")
		for i := 2; i < 5; i++ {
			alice.Want("host", fmt.Sprint("seed ", i))
		}
		alice.Send("mine")
		require.NoError(t, alice.Member.Send(t.Context(), "host", []byte("private")))
		alice.Want("host", "private")
		bob := s.Join("bob")
		bob.Want("host", "seed 3")
		bob.Want("host", "seed 4")
		bob.Want("alice", "mine")
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("not for bob"), bob.Member))
		alice.Want("host", "not for bob")
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		alice = s.Join("alice")
		alice.Want("host", "seed 4")
		alice.Want("alice", "mine")
		alice.Want("host", "not for bob")
		bob.WantQuiet(quiet)
	})
}

func TestHistoryUnderLoad(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := tr.newServer(t, chatroom.WithHistory(10))
			ctx, stop := context.WithCancel(testContext(t))
			defer stop()
			var talking sync.WaitGroup
			talking.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					_ = s.Broadcast(ctx, "host", fmt.Append(nil, i))
				}
			})
			for range 20 {
				c := s.Join("member")
				last := -1
				for range 500 {
					m, err := c.Receive()
					require.NoError(t, err)
					var n int
					_, err = fmt.Sscan(string(m.Body), &n)
					require.NoError(t, err)
					if last >= 0 {
						require.Equal(t, last+1, n)
					}
					last = n
				}
				c.Close()
			}
			stop()
			talking.Wait()
		})
	}
}

// A room with a history stays for a minute, the latest thousand do.
func TestEmptyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHistory(1))
		for i := range 1100 {
			require.NoError(t, s.Room(fmt.Sprintf("room %04d", i)).Broadcast(t.Context(), "host", []byte("hello")))
		}
		require.Len(t, s.Rooms(), 1001)
		alice := s.JoinRoom("room 1099", "alice")
		alice.Want("host", "hello")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, s.Rooms(), 2)
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Len(t, s.Rooms(), 2)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Len(t, s.Rooms(), 1)
		require.EqualValues(t, 1100, s.Stats().Messages)
	})
}

func TestUniqueNamesAndFullRooms(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithUniqueNames(), chatroom.WithMaxMembers(2))
		alice := s.Join("alice")
		require.ErrorIs(t, s.Refusal("alice"), chatroom.ErrNameTaken)
		bob := s.Join("bob")
		require.ErrorIs(t, s.Refusal("carol"), chatroom.ErrRoomFull)
		alice.Member.Kick(nil)
		s.Join("alice") // free at once
		bob.Close()
		require.NoError(t, s.WaitLeave("bob"))
		s.Join("bob")
	})
}

// However many try at the same time, as many are let in as there is room.
func TestFullRoomUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithMaxMembers(10), chatroom.WithUniqueNames())
		for i := range 100 {
			go func() {
				c, err := chatroom.Dial(t.Context(), "", "", fmt.Sprint("member ", i/2), chatroom.WithDialer(s.Listener.DialContext))
				if assert.NoError(t, err) {
					t.Cleanup(func() { _ = c.Close() })
				}
			}()
		}
		synctest.Wait()
		assert.Len(t, s.Members(), 10)
		assert.EqualValues(t, 90, s.Stats().Refusals.Total())
		names := map[string]bool{}
		for _, m := range s.Members() {
			assert.False(t, names[m.Name], m.Name)
			names[m.Name] = true
		}
	})
}

// What is said in private is not kept for a history.
func TestHistoryBesidePrivateText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const backlog = 1 << 20
		s := chatroomtest.NewServer(t, chatroom.WithHistory(3), chatroom.WithBacklog(backlog))
		alice := s.Join("alice")
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("for all")))
		alice.Want("host", "for all")
		for range 2 * backlog >> 10 {
			require.NoError(t, alice.Member.Send(t.Context(), "host", make([]byte, 1<<10)))
			_, err := alice.Receive()
			require.NoError(t, err)
		}
		bob := s.DialRaw()
		bob.SendFrame("bob")
		s.WantMembers("alice", "bob")
		require.Zero(t, s.Stats().Backlog)
		bob.WantNothing()
		alice.Send("hello")
		bob.Want("alice", "hello")
	})
}

// A message hook that ends its goroutine, as a failed assertion does, ends its member.
func TestFilterExitsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
			runtime.Goexit()
			return nil
		}))
		alice := s.Join("alice")
		alice.Send("hello")
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrHookFailed)
		require.NoError(t, s.Shutdown(t.Context()))
	})
}

// What a message hook was given last is not kept for a member that is silent.
func TestFilterKeepsNothing(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		bodies := make(chan weak.Pointer[byte], 1)
		s := tr.newServer(t, chatroom.WithOnMessage(func(_ context.Context, _ chatroom.Member, msg *chatroom.Message) error {
			msg.Body = make([]byte, 100<<10)
			bodies <- weak.Make(&msg.Body[0])
			return chatroom.ErrDrop
		}))
		s.Join("alice").Send("hello")
		body := receive(t, bodies, "the hook")
		for ctx := testContext(t); body.Value() != nil; runtime.GC() {
			require.NoError(t, ctx.Err(), "the body is kept")
		}
	})
}

// One whose hook waits for something else has no more than 5 s either.
func TestKickOfAMemberWhoseHookBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
			time.Sleep(time.Hour)
			return nil
		}))
		alice := s.Join("alice")
		alice.Send("hello")
		synctest.Wait()
		start := time.Now()
		alice.Member.Kick(nil)
		alice.WantClosed()
		require.Equal(t, 5*time.Second, time.Since(start))
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
	})
}

// A member that is kicked during the server's end is owed nothing that comes after it.
func TestKickDuringShutdown(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		filtering, goOn := make(chan struct{}), make(chan struct{})
		s := tr.newServer(t, chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
			close(filtering)
			<-goOn
			return nil
		}))
		alice, bob := s.Join("alice"), s.Join("bob")
		bob.Send("last words")
		receive(t, filtering, "the hook")
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(testContext(t)) }()
		for s.Broadcast(t.Context(), "host", nil, alice.Member, bob.Member) == nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(quiet) // by when alice waits for what bob has to say
		alice.Member.Kick(nil)
		close(goOn)
		require.NoError(t, receive(t, ended, "the end"))
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
	})
}

// A member that goes, or is kicked by others, at the same moment is off the list when
// any Kick returns, and gone without delay.
func TestKickOfAMemberThatGoes(t *testing.T) {
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithOnMessage(func(ctx context.Context, _ chatroom.Member, _ *chatroom.Message) error {
				<-ctx.Done()
				return ctx.Err()
			}))
			alice := s.Join("alice")
			alice.Send("hello")
			synctest.Wait()
			start := time.Now()
			var kicks sync.WaitGroup
			for range 4 {
				kicks.Go(func() {
					alice.Member.Kick(nil)
					assert.Empty(t, s.Members())
				})
			}
			kicks.Wait()
			require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
			require.Zero(t, time.Since(start))
		})
	}
}

// An admit hook that writes to a peer that does not read has as long as the handshake.
func TestAdmitThatWritesToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			if _, err := j.Conn.Write(chatroom.AppendFrame(nil, []byte("host"))); err != nil {
				return err
			}
			return errors.New("not today")
		}))
		require.ErrorContains(t, s.Refusal("alice"), "not today")
		near, far := net.Pipe()
		defer near.Close()
		start := time.Now()
		go func() { _, _ = near.Write(chatroom.AppendFrame(nil, []byte("deaf"))) }()
		require.ErrorIs(t, s.ServeConn(t.Context(), far), os.ErrDeadlineExceeded)
		assert.Equal(t, chatroom.DefaultHandshakeTimeout, time.Since(start))
	})
}

// A hook knows its server, and the values of ServeConn's context.
func TestWhatHooksKnow(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var values []any
		note := func(ctx context.Context) { values = append(values, ctx.Value(key{})) }
		var servers []*chatroom.Server
		s := chatroomtest.NewServer(t,
			chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
				note(ctx)
				servers = append(servers, j.Server)
				return nil
			}),
			chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
				note(ctx)
				servers = append(servers, m.Room().Server())
			}),
			chatroom.WithOnMessage(func(ctx context.Context, _ chatroom.Member, _ *chatroom.Message) error {
				note(ctx)
				return nil
			}),
			chatroom.WithOnLeave(func(ctx context.Context, _ chatroom.Member, _ error) {
				note(ctx)
				require.NoError(t, ctx.Err(), "it has the values only")
			}))
		near, far := net.Pipe()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "a user"))
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(ctx, far) }()
		_, err := near.Write(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("alice")), []byte("hello")))
		require.NoError(t, err)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
		assert.Equal(t, []any{"a user", "a user", "a user", "a user"}, values)
		assert.Equal(t, []*chatroom.Server{s.Server, s.Server}, servers)
		assert.Nil(t, chatroom.Room{}.Server())
	})
}

// What was sent as a name may hold a secret, which an admit hook cuts off.
func TestSecretIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := chatroomtest.NewServer(t,
			chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
			chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
				if j.Name, _, _ = strings.Cut(j.Name, ":"); j.Name == "eve" {
					panic("boo")
				}
				return nil
			}))
		for _, name := range []string{"eve:s3cret", " :s3cret"} {
			require.Error(t, s.Refusal(name))
		}
		raw := s.DialRaw()
		raw.SendFrame("alice:s3cret")
		s.WantMembers("alice")
		raw.Cut()
		require.Error(t, s.WaitLeave("alice"))
		assert.Contains(t, log.String(), "boo")
		assert.NotContains(t, log.String(), "s3cret")
	})
}

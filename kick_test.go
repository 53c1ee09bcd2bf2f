package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

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

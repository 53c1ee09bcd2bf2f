package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

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

// An error of another server's end that a message hook returns is the hook's verdict, and
// not the end of this server.
func TestFilterThatReturnsErrServerClosed(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		other := chatroom.NewServer()
		require.NoError(t, other.Close())
		s := tr.newServer(t, chatroom.WithOnMessage(func(ctx context.Context, _ chatroom.Member, msg *chatroom.Message) error {
			return other.Broadcast(ctx, msg.From, msg.Body)
		}))
		alice := s.Join("alice")
		alice.Send("hello")
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrServerClosed)
		alice.WantClosed()
		assert.Empty(t, s.Members())
	})
}

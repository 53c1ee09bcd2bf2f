package chatroom_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var story []string
		release := make(chan struct{})
		var s *chatroomtest.Server
		s = chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				story = append(story, "first hook "+m.Name)
				if m.Name == "alice" {
					assert.Len(t, s.Members(), 2, "alice is listed")
					<-release
				}
			}),
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { story = append(story, "second hook "+m.Name) }),
			chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, reason error) {
				story = append(story, fmt.Sprintf("left %s %v %d", m.Name, reason, len(s.Members())))
			}))
		bob := s.Join("bob")
		raw := s.DialRaw()
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
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				if m.Name == "join" {
					panic("in the join hook")
				}
			}),
			chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) {
				told++
				if m.Name == "leave" {
					panic("in the leave hook")
				}
			}))
		other := s.Join("other")
		raw := s.DialRaw()
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
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { runtime.Goexit() }),
			chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { left <- reason }))
		raw := s.DialRaw()
		raw.SendFrame("exit")
		raw.WantClosed()
		require.Error(t, <-left)
		assert.Empty(t, s.Members())

		near, far := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(t.Context(), far) }()
		_, err := near.Write(chatroom.AppendFrame(nil, []byte("exit")))
		require.NoError(t, err)
		require.ErrorIs(t, <-served, chatroom.ErrHookFailed)
		require.Error(t, <-left)
		assert.Empty(t, s.Members())
	})
}

func TestHooksMayCallTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *chatroomtest.Server
		s = chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				assert.NoError(t, s.Broadcast(context.Background(), "host", []byte("welcome "+m.Name)))
				s.Stats()
			}),
			chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) {
				if err := s.Broadcast(context.Background(), "host", []byte("goodbye "+m.Name)); err != nil {
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

// A leave hook that ends its goroutine does not keep the others from being told.
func TestLeaveHookExitsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnLeave(func(context.Context, chatroom.Member, error) { runtime.Goexit() }))
		s.Join("alice").Close()
		require.NoError(t, s.WaitLeave("alice"))
	})
}

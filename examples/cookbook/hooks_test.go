package cookbook_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func TestAdmitHook(t *testing.T) {
	s := chatroomtest.NewServer(t, cookbook.RoomsByName("games"))
	alice := s.Join("alice@games")
	require.Equal(t, "games", alice.Member.Room().Name())
	require.ErrorContains(t, s.Refusal("bob@attic"), "no room")
}

func TestJoinHook(t *testing.T) {
	s := chatroomtest.NewServer(t, cookbook.Greet())
	alice := s.Join("alice") // returns when the hook has
	alice.Want("host", "welcome, alice")
}

func TestMessageHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // for WantNothing
		s := chatroomtest.NewServer(t, cookbook.Commands(isAlice))
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("/who")
		alice.Want("host", "alice, bob")
		bob.WantNothing()
	})
}

func TestLeaveHook(t *testing.T) {
	reasons := make(chan error, 1)
	s := chatroomtest.NewServer(t, chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, why error) {
		reasons <- why
	}))
	s.Join("alice").Member.Kick(errors.New("it is late"))
	require.ErrorContains(t, s.WaitLeave("alice"), "it is late") // returns when the hook has
	require.ErrorIs(t, <-reasons, chatroom.ErrKicked)
}

func TestHookInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // an hour takes no time
		s := chatroomtest.NewServer(t, cookbook.SlowMode(time.Hour)...)
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("one")
		bob.Want("alice", "one")
		time.Sleep(time.Hour)
		alice.Send("two")
		bob.Want("alice", "two")
	})
}

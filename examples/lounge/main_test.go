package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lounge runs a story in a bubble, where alice is in the lobby, and root, an admin.
func lounge(t *testing.T, story func(t *testing.T, s *chatroomtest.Server, alice, root *chatroomtest.Client)) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, options()...)
		alice := s.Join("alice")
		alice.Want("host", "welcome, alice")
		nc, err := s.Listener.DialFrom(t.Context(), &net.UnixAddr{Net: "unix"})
		require.NoError(t, err)
		root := s.JoinConn(nc, "root")
		root.Want("host", "welcome, root")
		story(t, s, alice, root)
	})
}

func TestTalk(t *testing.T) {
	lounge(t, func(t *testing.T, s *chatroomtest.Server, alice, root *chatroomtest.Client) {
		bob := s.Join("bob@games")
		bob.Want("host", "welcome, bob")
		for range 29 { // nine more than the rate limit lets through at once
			alice.Send("heck")
			root.Want("alice", "****")
		}
		require.Equal(t, 900*time.Millisecond, time.Since(alice.Member.JoinedAt))
		alice.Send("/msg root damn secret")
		root.Want("alice (to you)", "**** secret")
		alice.Want("host", "told root")
		bob.WantNothing()
		require.HTTPBodyContains(t, metrics(s.Server).ServeHTTP, "GET", "/", nil, "chatroom_joins_total 3\n")

		dave := s.Join("dave")
		go s.Shutdown(t.Context()) // writes out what dave is owed
		for range 20 {
			dave.Want("alice", "****")
		}
		dave.Want("host", "welcome, dave")
		dave.WantClosed()
	})
}

func TestOrder(t *testing.T) {
	lounge(t, func(t *testing.T, s *chatroomtest.Server, alice, root *chatroomtest.Client) {
		require.ErrorIs(t, s.Refusal("alice"), chatroom.ErrNameTaken)
		require.ErrorContains(t, s.Refusal("Host"), "the host's name")
		require.ErrorContains(t, s.Refusal("bob@attic"), "no such room")
		alice.Send("/kick root")
		alice.Want("host", "nobody is called that, or you may not")
		root.Send("/kick alice")
		root.Want("host", "alice is out")
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
	})
}

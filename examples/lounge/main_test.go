package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/promroom"
	"github.com/stretchr/testify/require"
)

func TestLounge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, options()...)
		alice, bob := s.Join("alice"), s.Join("bob@games")
		nc, err := s.Listener.DialFrom(t.Context(), &net.UnixAddr{Net: "unix"})
		require.NoError(t, err)
		root := s.JoinConn(nc, "root") // an admin
		alice.Want("host", "welcome, alice")
		bob.Want("host", "welcome, bob")
		root.Want("host", "welcome, root")

		for range 29 { // nine more than the rate limit lets through at once
			alice.Send("heck")
			root.Want("alice", "****")
		}
		require.Equal(t, 900*time.Millisecond, time.Since(alice.Member.JoinedAt))
		alice.Send("/msg root damn secret")
		root.Want("alice (to you)", "**** secret")
		alice.Want("host", "told root")
		bob.WantNothing()
		require.HTTPBodyContains(t, promroom.Handler(s.Server).ServeHTTP, "GET", "/", nil, "chatroom_joins_total 3\n")

		require.ErrorIs(t, s.Refusal("alice"), chatroom.ErrNameTaken)
		require.ErrorContains(t, s.Refusal("Host"), "the host's name")
		require.ErrorContains(t, s.Refusal("carol@attic"), "no such room")
		alice.Send("/kick root")
		alice.Want("host", "nobody is called that, or you may not")
		root.Send("/kick alice")
		root.Want("host", "alice is out")
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)

		dave := s.Join("dave")
		go s.Shutdown(t.Context()) // writes out what dave is owed
		for range 20 {
			dave.Want("alice", "****")
		}
		dave.Want("host", "welcome, dave")
		dave.WantClosed()
	})
}

package cookbook_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func repeat(s string, n int) string { return strings.Repeat(s, n) }

func TestNicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Nicks(chatroom.CheckName)...)
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("/nick Al")
		alice.Want("host", "you are Al")
		alice.Send("hello")
		bob.Want("Al", "hello")
		alice.Send("/nick bob")
		alice.Want("host", "bob is taken")
		alice.Send("/nick  ")
		alice.Want("host", "begins or ends with white space")

		s.Join("alice") // that name is free now
		s.Join("Al").WantClosed()
		require.ErrorIs(t, s.WaitLeave("Al"), chatroom.ErrNameTaken)
		alice.Send("still me")
		bob.Want("Al", "still me")
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		s.Join("Al")
	})
}

func TestFoldNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.FoldNames()...)
		zoe, bob := s.Join("Zoë"), s.Join("bob")
		for _, name := range []string{"Straße", "Σίσυφος", "❤️"} {
			s.Join(name).Drain()
		}
		for _, same := range []string{"zoë", "ZOË", "Zoe\u0308", "\uff3aoë", "STRASSE", "ΣΊΣΥΦΟΣ", "❤️"} {
			require.ErrorIs(t, s.Refusal(same), chatroom.ErrNameTaken, same)
		}
		require.ErrorContains(t, s.Refusal("Zoë "), "white space")
		zoe.Send("hello")
		bob.Want("Zoë", "hello")
	})
}

func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Takeover()...)
		older, elsewhere := s.Join("alice"), s.JoinRoom("attic", "alice")
		newer, bob := s.Join("alice"), s.Join("bob")
		older.Want("host", "you have joined from elsewhere")
		older.WantClosed()
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
		bob.Send("hello")
		newer.Want("bob", "hello")
		elsewhere.WantNothing()
	})
}

package cookbook_test

import (
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func TestGreet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Greet(), cookbook.Reserve("host"))
		alice := s.Join("alice")
		alice.Want("host", "welcome, alice")
		s.Join("bob").Want("host", "welcome, bob")
		alice.WantNothing()
		require.ErrorIs(t, s.Refusal("Host"), chatroom.ErrNameRejected)
		require.ErrorIs(t, s.Refusal(" alice"), chatroom.ErrNameRejected)
	})
}

func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Notices(time.Second)...)
		alice := s.Join("alice")
		alice.Want("host", "alice is here")
		bob := s.JoinRoom("attic", "bob")
		carol := s.Join("carol")
		carol.Close()
		s.WaitLeave("carol")
		dora := s.Join("dora")
		alice.WantNothing()
		alice.Want("host", "carol is here, carol has left, dora is here")
		dora.Want("host", "carol is here, carol has left, dora is here")
		bob.Want("host", "bob is here")
		for range 12 {
			s.Join("guest").Drain()
		}
		dora.Close()
		alice.Want("host", "guest is here"+repeat(", guest is here", 9)+", and 3 more")
	})
}

package cookbook_test

import (
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.RateLimit(1, 2)...)
		alice, bob := s.Join("alice"), s.Join("bob")
		go func() {
			for range 3 {
				_ = alice.Conn.Send(t.Context(), []byte("hello"))
			}
		}()
		bob.Want("alice", "hello")
		bob.Want("alice", "hello")
		bob.WantNothing()
		start := time.Now()
		bob.Want("alice", "hello")
		require.Equal(t, time.Second, time.Since(start))

		alice.Send("one more")
		bob.Send("good night")
		synctest.Wait() // alice's message waits for its turn
		go s.Shutdown(t.Context())
		alice.Want("bob", "good night") // she still gets what she is owed
		alice.WantClosed()
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrServerClosed)
	})
}

func TestSlowMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.SlowMode(time.Minute)...)
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("one")
		bob.Want("alice", "one")
		time.Sleep(20 * time.Second)
		alice.Send("two")
		alice.Want("host", "slow mode: wait for 40s")
		time.Sleep(40 * time.Second)
		alice.Send("three")
		bob.Want("alice", "three")
	})
}

func TestMutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mutes cookbook.Mutes
		s := chatroomtest.NewServer(t, mutes.Option())
		alice, bob := s.Join("alice"), s.Join("bob")
		mutes.Mute("alice", time.Now().Add(time.Hour))
		alice.Send("hello")
		alice.Want("host", "you are muted")
		bob.WantNothing()
		time.Sleep(time.Hour)
		alice.Send("hello")
		bob.Want("alice", "hello")
	})
}

func TestWords(t *testing.T) {
	s := chatroomtest.NewServer(t, cookbook.Words(regexp.MustCompile(`(?i)\b(damn|heck)\b`)))
	alice, bob := s.Join("alice"), s.Join("bob")
	alice.Send("Damn the heckler")
	bob.Want("alice", "**** the heckler")
}

func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Commands(isAlice))
		alice, bob, joe := s.Join("alice"), s.Join("bob"), s.Join("bob the builder")
		say := func(c *chatroomtest.Client, line, answer string) {
			t.Helper()
			c.Send(line)
			c.Want("host", answer)
		}
		say(alice, "/who", "alice, bob, bob the builder")
		say(alice, "/msg bob the builder can we fix it?", "told bob the builder")
		joe.Want("alice (to you)", "can we fix it?")
		say(alice, "/msg bob  hi", "told bob")
		bob.Want("alice (to you)", " hi")
		say(alice, "/msg carol hi", "nobody of that name is here")
		say(bob, "/kick alice", "there is no /kick for you")
		say(bob, "/mgs alice secret", "there is no /mgs for you")
		say(alice, "/kick bob the builder", "kicked bob the builder")
		joe.WantClosed()
		bob.Send("")
		alice.Want("bob", "")
		bob.WantNothing()
		alice.Send("/kick alice") // nothing of hers is published any more, and there is no answer
		alice.WantClosed()
	})
}

package chatroom_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// History and what follows: no gap, no double, however much is said meanwhile.
func TestHistory(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithHistory(3))
		for i := range 5 {
			require.NoError(t, s.Room("").Broadcast(t.Context(), "host", fmt.Append(nil, "seed ", i)))
		}
		alice, dave := s.Join("alice"), s.Join("dave")
		for i := 2; i < 5; i++ {
			alice.Want("host", fmt.Sprint("seed ", i))
			dave.Want("host", fmt.Sprint("seed ", i))
		}
		alice.Send("mine")
		dave.Want("alice", "mine") // so it is published before bob joins
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

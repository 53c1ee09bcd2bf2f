package chatroomtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// An ordered is a server and its end of an order.
type ordered struct {
	*chatroomtest.Server

	end *chatroomtest.OrderEnd
}

// newOrdered returns n servers that share an order.
func newOrdered(t testing.TB, n int, opts ...chatroom.ServerOption) []ordered {
	t.Helper()
	order := chatroomtest.NewOrder(t)
	var servers []ordered
	for range n {
		servers = append(servers, joinOrder(t, order, opts...))
	}
	return servers
}

// joinOrder returns one server more.
func joinOrder(t testing.TB, order *chatroomtest.Order, opts ...chatroom.ServerOption) ordered {
	t.Helper()
	end := order.NewEnd()
	return ordered{chatroomtest.NewServer(t, append(opts, chatroom.WithOrder(end))...), end}
}

// overOrder runs test in a bubble with two servers that share an order, alice at the first
// of them and bob at the second.
func overOrder(t *testing.T, test func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newOrdered(t, 2)
		test(t, s, s[0].Join("alice"), s[1].Join("bob"))
	})
}

var errLost = errors.New("lost")

// All that many say at once comes in one sequence everywhere, on the fake clock and on the
// real one.
func TestOrderIsOneSequence(t *testing.T) {
	const each = 50
	test := func(t *testing.T) {
		s := newOrdered(t, 3)
		s[2].end.SetLimit(1) // a batch at a time
		var talkers, listeners []*chatroomtest.Client
		for i, at := range s {
			talkers = append(talkers, at.Join(fmt.Sprint("talker ", i)))
			listeners = append(listeners, at.Join(fmt.Sprint("listener ", i)))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for _, c := range talkers {
			c.Drain()
			wg.Go(func() {
				for i := range each {
					assert.NoError(t, c.Conn.Send(ctx, fmt.Append(nil, i)))
				}
			})
		}
		var heard [3][]string
		for i, c := range listeners {
			for range each * len(talkers) {
				m, err := c.Receive()
				require.NoError(t, err)
				heard[i] = append(heard[i], m.From+": "+string(m.Body))
			}
		}
		wg.Wait()
		require.Equal(t, heard[0], heard[1])
		require.Equal(t, heard[0], heard[2])
		for i := range talkers {
			for n := range each {
				require.Contains(t, heard[0], fmt.Sprintf("talker %d: %d", i, n))
			}
		}
	}
	t.Run("real time", test)
	t.Run("bubble", func(t *testing.T) { synctest.Test(t, test) })
}

// wantAfter fails the test unless a message is the next one, after so long.
func wantAfter(t *testing.T, c *chatroomtest.Client, start time.Time, after time.Duration, from, body string) {
	t.Helper()
	c.Want(from, body)
	require.Equal(t, after, time.Since(start))
}

func TestOrderLatency(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		carol := s[0].Join("carol")
		s[0].end.SetLatency(time.Second)
		start := time.Now()
		alice.Send("there")
		wantAfter(t, bob, start, time.Second, "alice", "there")
		wantAfter(t, carol, start, 2*time.Second, "alice", "there")
		bob.Send("and back")
		wantAfter(t, carol, start, 3*time.Second, "bob", "and back")
		wantAfter(t, alice, start, 3*time.Second, "bob", "and back")
		s[0].end.SetLatency(-1)
		alice.Send("here")
		wantAfter(t, bob, start, 3*time.Second, "alice", "here")
		wantAfter(t, carol, start, 3*time.Second, "alice", "here")
	})
}

func TestOrderStall(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		carol, dave := s[0].Join("carol"), s[1].Join("dave")
		s[1].end.Stall()
		bob.Send("is anybody here?")
		synctest.Wait()
		alice.Send("no")
		carol.Want("alice", "no")
		dave.WantNothing()
		s[1].end.Resume()
		alice.Want("bob", "is anybody here?")
		carol.Want("bob", "is anybody here?")
		dave.Want("alice", "no")
		dave.Want("bob", "is anybody here?")
		bob.Want("alice", "no")
	})
}

func TestOrderLoses(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		carol := s[0].Join("carol")
		s[1].end.Stall()
		alice.Send("lost")
		carol.Want("alice", "lost")
		s[1].end.Lose(errLost)
		bob.WantNothing() // a stalled end tells nobody
		s[1].end.Resume()
		bob.WantClosed()
		require.ErrorIs(t, s[1].WaitLeave("bob"), errLost)

		bob = s[1].Join("bob")
		s[0].end.Repeat() // of what is lost, which cannot come later than what others have heard
		alice.Send("again")
		bob.Want("alice", "again")
		carol.Want("alice", "again")
		alice.WantNothing()
	})
}

// What a server has submitted itself can be lost on the way back.
func TestOrderLosesOwn(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		s[1].end.SetLatency(time.Second)
		s[1].end.SetLimit(1)
		bob.Send("hello")
		alice.Want("bob", "hello")
		settled := make(chan error, 1)
		go func() { settled <- s[1].end.Settle(t.Context()) }()
		synctest.Wait()
		require.Empty(t, settled)
		s[1].end.Lose(errLost)
		require.NoError(t, <-settled)
		bob.WantClosed()
		require.ErrorIs(t, s[1].WaitLeave("bob"), errLost)
		require.NoError(t, s[1].Broadcast(t.Context(), "host", []byte("nothing is under way any more")))
		alice.Want("host", "nothing is under way any more")
	})
}

func TestOrderRepeat(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		s[0].end.Repeat() // of nothing
		s[1].end.SetLatency(time.Second)
		alice.Send("one")
		synctest.Wait()
		s[0].end.Repeat()
		alice.Send("two")
		synctest.Wait()
		s[0].end.Repeat()
		s[0].end.Repeat()
		bob.Want("alice", "one")
		bob.Want("alice", "two")
		bob.WantNothing()
		require.EqualValues(t, 2, s[0].Stats().Messages)
		require.EqualValues(t, 2, s[1].Stats().Messages)
	})
}

func TestOrderLimit(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		end := s[0].end
		end.SetLimit(60)
		end.SetLatency(time.Second)
		say := func(limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			return s[0].Broadcast(ctx, "host", []byte("hello")) // 29 bytes
		}
		start := time.Now()
		for range 3 { // less than the limit are under way each time
			require.NoError(t, say(time.Millisecond))
		}
		require.ErrorIs(t, say(time.Second), context.DeadlineExceeded)
		require.NoError(t, say(time.Minute))
		require.Equal(t, 2*time.Second, time.Since(start), "it waits for what is under way")
		end.SetLimit(-1)
		end.Stall()
		for range 5 {
			require.NoError(t, say(time.Millisecond))
		}
		end.SetLimit(0)
		require.NoError(t, say(time.Millisecond), "the default is 1 MiB")
		end.SetLimit(1)
		require.ErrorIs(t, say(time.Second), context.DeadlineExceeded)
		end.Resume()
		for range 10 {
			bob.Want("host", "hello")
		}
		bob.WantNothing()
		alice.Drain()
	})
}

func TestOrderUnavailable(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		end := s[0].end
		end.SetLatency(time.Second)
		end.SetLimit(1)
		require.NoError(t, s[0].Broadcast(t.Context(), "host", []byte("under way")))
		waiting := make(chan error, 1)
		go func() { waiting <- s[0].Broadcast(t.Context(), "host", []byte("too late")) }()
		synctest.Wait()
		end.SetAvailable(false)
		require.ErrorIs(t, <-waiting, chatroom.ErrUnavailable)
		require.ErrorIs(t, s[0].Broadcast(t.Context(), "host", []byte("no")), chatroom.ErrUnavailable)
		bob.Want("host", "under way")
		alice.Want("host", "under way")
		alice.Send("hello?")
		require.ErrorIs(t, s[0].WaitLeave("alice"), chatroom.ErrUnavailable)
		end.SetAvailable(true)
		require.NoError(t, s[0].Broadcast(t.Context(), "host", []byte("yes")))
		bob.Want("host", "yes")
	})
}

func TestOrderSettle(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		end := s[0].end
		require.NoError(t, end.Settle(t.Context()), "nothing is under way")
		end.SetLatency(time.Second)
		alice.Send("one")
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, end.Settle(ctx), context.DeadlineExceeded)
		settled := make(chan error, 1)
		go func() { settled <- end.Settle(t.Context()) }()
		synctest.Wait()
		alice.Send("two") // which does not count
		require.NoError(t, <-settled)
		require.Equal(t, 2*time.Second, time.Since(start))
		bob.Drain()
		end.Close()
		require.ErrorIs(t, end.Settle(t.Context()), chatroom.ErrUnavailable)
	})
}

// What members have sent is published before their server ends.
func TestOrderShutdown(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		carol := s[0].Join("carol")
		s[0].end.SetLatency(time.Second)
		alice.Send("goodbye")
		synctest.Wait()
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- s[0].Shutdown(t.Context()) }()
		wantAfter(t, carol, start, 2*time.Second, "alice", "goodbye")
		bob.Want("alice", "goodbye")
		carol.WantClosed()
		require.NoError(t, <-ended)
		s[0].end.SetLatency(0)
		bob.Send("anybody?") // the end of a server that has ended takes it, and nobody has it
		bob.WantNothing()
	})
}

func TestOrderClose(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		carol := s[1].Join("carol")
		s[0].end.Stall()
		alice.Send("dropped")
		synctest.Wait()
		s[0].end.Close()
		s[0].end.Close()
		s[0].end.Resume()
		s[0].end.Repeat()
		require.ErrorIs(t, s[0].Broadcast(t.Context(), "host", nil), chatroom.ErrUnavailable)
		bob.Send("hello")
		carol.Want("bob", "hello")
		alice.WantNothing()
		bob.WantNothing()
	})
}

// Who takes part later receives what comes from then on.
func TestOrderNewEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order := chatroomtest.NewOrder(t)
		order.NewEnd() // which nobody uses
		s := joinOrder(t, order, chatroom.WithHistory(10))
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("before")
		bob.Want("alice", "before")
		late := joinOrder(t, order, chatroom.WithHistory(10))
		carol := late.Join("carol")
		s.end.Repeat()
		carol.WantNothing()
		alice.Send("after")
		carol.Want("alice", "after")
		bob.Want("alice", "after")
		dave := late.Join("dave")
		dave.Want("alice", "after")
	})
}

func TestOrderEndIsForOneServer(t *testing.T) {
	end := chatroomtest.NewOrder(t).NewEnd()
	chatroomtest.NewServer(t, chatroom.WithOrder(end))
	require.PanicsWithError(t, "chatroomtest: an end of an order is for one server; make another with NewEnd",
		func() { chatroom.NewServer(chatroom.WithOrder(end)) })
	closed := chatroomtest.NewOrder(t).NewEnd()
	closed.Close()
	s := chatroomtest.NewServer(t, chatroom.WithOrder(closed))
	require.ErrorIs(t, s.Broadcast(t.Context(), "host", nil), chatroom.ErrUnavailable)
}

// An end keeps nothing of what is submitted.
func TestOrderCopies(t *testing.T) {
	overOrder(t, func(t *testing.T, s []ordered, alice, bob *chatroomtest.Client) {
		frames := chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("host")), []byte("hello"))
		except := []uint64{alice.Member.ID}
		s[0].end.Stall()
		require.NoError(t, s[0].end.Submit(t.Context(), chatroom.Batch{Frames: frames, Except: except}))
		copy(frames, slices.Repeat([]byte("x"), len(frames)))
		except[0] = 0
		s[0].end.Resume()
		bob.Want("host", "hello")
		alice.WantNothing()
	})
}

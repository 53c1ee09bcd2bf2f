package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// A lateOrder delivers what was submitted an hour later.
type lateOrder struct {
	identityOrder

	queue chan any // a Batch, or a chan to close when all before it has been delivered
}

func newLateOrder(t *testing.T) *lateOrder {
	o := &lateOrder{queue: make(chan any, 100)}
	t.Cleanup(func() { close(o.queue) })
	go func() {
		for next := range o.queue {
			switch next := next.(type) {
			case chatroom.Batch:
				time.Sleep(time.Hour)
				_ = o.server.Deliver(context.Background(), true, next) // the server may have ended
			case chan struct{}:
				close(next)
			}
		}
	}()
	return o
}

func (o *lateOrder) Submit(_ context.Context, b chatroom.Batch) error {
	b.Frames = slices.Clone(b.Frames)
	o.queue <- b
	return nil
}

func (o *lateOrder) Settle(ctx context.Context) error {
	settled := make(chan struct{})
	o.queue <- settled
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// What was said before the end is published before it, also of those who have left.
func TestShutdownSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOrder(newLateOrder(t)), chatroom.WithWriteTimeout(-1))
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		alice.Send("goodbye")
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		bob.Send("not yet")
		synctest.Wait()
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(t.Context()) }()
		synctest.Wait()
		require.Equal(t, chatroom.ErrServerClosed, s.Broadcast(t.Context(), "host", nil))
		require.Equal(t, chatroom.ErrServerClosed, s.Room("").Broadcast(t.Context(), "host", nil))
		time.Sleep(3 * time.Hour)
		bob.Want("alice", "goodbye")
		carol.Want("alice", "goodbye")
		carol.Want("bob", "not yet")
		for _, c := range []*chatroomtest.Client{bob, carol} {
			_, err := c.Receive()
			require.Equal(t, io.EOF, err)
			c.Close()
		}
		require.NoError(t, <-ended)
		assert.GreaterOrEqual(t, time.Since(start), 2*time.Hour)
		require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrServerClosed)
		require.Equal(t, chatroom.ErrServerClosed, s.Deliver(t.Context(), false, batch("host", "late")))
		assert.EqualValues(t, 2, s.Stats().Messages)
	})
}

// Neither Shutdown nor Close waits for an order that never settles.
func TestEndOfAnOrderThatNeverSettles(t *testing.T) {
	for _, end := range []string{"Shutdown", "Close"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t, chatroom.WithOrder(&fakeOrder{settle: func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				}}))
				s.Join("alice")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				ended := make(chan error, 1)
				go func() { ended <- s.Shutdown(ctx) }()
				synctest.Wait()
				if end == "Close" {
					time.Sleep(time.Second)
					require.NoError(t, s.Server.Close())
					require.NoError(t, <-ended)
					require.Equal(t, time.Second, time.Since(start))
				} else {
					require.Equal(t, context.DeadlineExceeded, <-ended)
					require.Equal(t, time.Minute, time.Since(start))
				}
				require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrServerClosed)
				require.NoError(t, s.Shutdown(t.Context()))
			})
		})
	}
}

// Flush waits for what was submitted, too.
func TestFlushSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOrder(newLateOrder(t)), chatroom.WithWriteTimeout(-1))
		alice := s.Join("alice")
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hello")))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, s.Flush(ctx))
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(t.Context()) }()
		time.Sleep(time.Hour)
		alice.Want("host", "hello")
		require.NoError(t, <-flushed)
		assert.GreaterOrEqual(t, time.Since(start), time.Hour)
	})
}

// A member whose messages the order does not take yet can be kicked, with what it is owed,
// and does not keep the server from ending.
func TestSubmitWaits(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		submitting := make(chan struct{}, 2)
		o := new(fakeOrder)
		o.submit = func(ctx context.Context, b chatroom.Batch) error {
			if b.Sender == 0 {
				return o.identityOrder.Submit(ctx, b)
			}
			submitting <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		s := tr.newServer(t, chatroom.WithOrder(o))
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		alice.Send("never")
		bob.Send("never")
		receive(t, submitting, "a Submit")
		receive(t, submitting, "a Submit")
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hello")))
		alice.Member.Kick(nil)
		_, err := receiveAll(alice)
		require.Equal(t, io.EOF, err)
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrKicked)
		bob.Want("host", "hello")
		carol.Want("host", "hello")
		ctx, cancel := context.WithTimeout(t.Context(), quiet)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, s.Shutdown(ctx))
		require.NoError(t, s.Shutdown(testContext(t)))
		require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrServerClosed)
		assert.EqualValues(t, 1, s.Stats().Messages)
	})
}

// Who is kicked while the order does not take its messages goes without delay, and who is
// kicked before they are submitted says nothing.
func TestKickBesideAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var submitted []string
		s := chatroomtest.NewServer(t,
			chatroom.WithOrder(&fakeOrder{submit: func(ctx context.Context, b chatroom.Batch) error {
				submitted = append(submitted, string(b.Frames))
				<-ctx.Done()
				return ctx.Err()
			}}),
			chatroom.WithOnMessage(func(_ context.Context, m chatroom.Member, msg *chatroom.Message) error {
				if string(msg.Body) == "kick me" {
					m.Kick(nil)
				}
				return nil
			}))
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("wait")
		bob.Send("kick me")
		synctest.Wait()
		start := time.Now()
		alice.Member.Kick(nil)
		alice.WantClosed()
		bob.WantClosed()
		assert.Zero(t, time.Since(start))
		assert.Equal(t, []string{string(message("alice", "wait"))}, submitted)
	})
}

// receiveAll returns what c receives until its connection ends, and how it ends.
func receiveAll(c *chatroomtest.Client) (bodies []string, err error) {
	for {
		m, err := c.Receive()
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, string(m.Body))
	}
}

// Disconnect writes what is owed, and leaves the server as it is.
func TestDisconnect(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		for _, reason := range []error{errors.New("a gap in the order"), chatroom.ErrUnavailable, nil} {
			s := tr.newServer(t)
			clients := []*chatroomtest.Client{s.Join("alice"), s.Join("bob"), s.JoinRoom("red", "carol")}
			var want []string
			for i := range 100 {
				want = append(want, fmt.Sprint(i))
				require.NoError(t, s.Broadcast(t.Context(), "host", fmt.Append(nil, i)))
			}
			s.Disconnect(reason)
			require.Empty(t, s.Members())
			require.NoError(t, s.Broadcast(t.Context(), "host", []byte("to nobody")))
			for _, c := range clients {
				got, err := receiveAll(c)
				require.Equal(t, io.EOF, err)
				require.Equal(t, want, got)
			}
			for _, name := range []string{"alice", "bob", "carol"} {
				left := s.WaitLeave(name)
				if reason == nil {
					require.ErrorIs(t, left, chatroom.ErrKicked)
				} else {
					require.Equal(t, reason, left)
				}
			}
			dave := s.Join("dave")
			require.NoError(t, s.Broadcast(t.Context(), "host", []byte("welcome")))
			dave.Want("host", "welcome")
			st := s.Stats().Leaves
			assert.Equal(t, map[error]uint64{reason: 3}[reason], st.Kicked+st.Unavailable+st.Lost)
		}
	})
}

// An order that delivers while it submits blocks nobody for ever, whatever hooks, kicks,
// slow members and the server's end do at the same time.
func TestOrderNeverDeadlocks(t *testing.T) {
	for i := range 60 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *chatroomtest.Server
				s = chatroomtest.NewServer(t, chatroom.WithOrder(new(identityOrder)), chatroom.WithBacklog(8<<10), chatroom.WithWriteTimeout(time.Minute),
					chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
						_ = m.Room().Broadcast(ctx, "echo", msg.Body, m)
						_ = m.Send(ctx, "echo", msg.Body)
						return nil
					}),
					chatroom.WithOnLeave(func(ctx context.Context, m chatroom.Member, _ error) {
						_ = s.Broadcast(ctx, "host", []byte(m.Name+" has left"))
					}))
				s.DialRaw().SendFrame("stalled")
				synctest.Wait()
				var running sync.WaitGroup
				for j := range 6 {
					c := s.Join(fmt.Sprint("member ", j))
					running.Go(func() { _, _ = receiveAll(c) })
					running.Go(func() {
						for c.Conn.Send(context.Background(), make([]byte, 500)) == nil {
							time.Sleep(time.Microsecond)
						}
						_ = c.Conn.Close()
					})
				}
				running.Go(func() {
					for s.Broadcast(context.Background(), "host", make([]byte, 500)) == nil {
						time.Sleep(time.Microsecond)
					}
				})
				time.Sleep(time.Duration(i) * time.Millisecond)
				for n, m := range s.Members() {
					if n%2 == 1 {
						running.Go(func() { m.Kick(nil) })
					}
				}
				if i%3 == 0 {
					running.Go(func() { s.Disconnect(errors.New("all of you")) })
				}
				running.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*time.Millisecond)
					defer cancel()
					_ = s.Shutdown(ctx)
				})
				if i%2 == 0 {
					_ = s.Server.Close()
				}
				require.NoError(t, s.Shutdown(context.Background()))
				running.Wait()
			})
		})
	}
}

// An admittingOrder is asked who may join, as natsroom's is.
type admittingOrder struct {
	identityOrder

	asked []string
	err   error
}

func (o *admittingOrder) Admit(_ context.Context, j *chatroom.Join) error {
	o.asked = append(o.asked, j.Name)
	return o.err
}

// An order that can is asked before the admit hooks.
func TestOrderAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o admittingOrder
		s := chatroomtest.NewServer(t, chatroom.WithOrder(&o),
			chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
				o.asked = append(o.asked, "hook "+j.Name)
				return nil
			}))
		s.Join("alice")
		o.err = chatroom.ErrUnavailable
		require.ErrorIs(t, s.Refusal("bob"), chatroom.ErrUnavailable)
		assert.Equal(t, []string{"alice", "hook alice", "bob"}, o.asked)
	})
}

// A broadcast that the order has not taken when the end begins fails, before the server
// settles.
func TestShutdownEndsBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o fakeOrder
		var events []string // by turns
		o.submit = func(ctx context.Context, _ chatroom.Batch) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			events = append(events, "submitted")
			return ctx.Err()
		}
		o.settle = func(context.Context) error {
			events = append(events, "settled")
			return nil
		}
		s := chatroomtest.NewServer(t, chatroom.WithOrder(&o))
		said := make(chan error, 1)
		go func() { said <- s.Broadcast(t.Context(), "host", []byte("last words")) }()
		synctest.Wait()
		require.NoError(t, s.Shutdown(t.Context()))
		require.ErrorIs(t, <-said, chatroom.ErrServerClosed)
		assert.Equal(t, []string{"submitted", "settled"}, events)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s = chatroomtest.NewServer(t, chatroom.WithOrder(&fakeOrder{submit: o.submit}))
		require.ErrorIs(t, s.Room("").Broadcast(ctx, "host", []byte("late")), context.Canceled)
	})
}

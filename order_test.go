package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// An identityOrder delivers what is submitted while Submit runs, to the server that
// submits.
type identityOrder struct{ server *chatroom.Server }

func (o *identityOrder) Attach(s *chatroom.Server) { o.server = s }

func (o *identityOrder) Submit(ctx context.Context, b chatroom.Batch) error {
	return o.server.Deliver(ctx, true, b)
}

func (o *identityOrder) Settle(context.Context) error { return nil }

// A fakeOrder submits and settles as its test says.
type fakeOrder struct {
	identityOrder

	submit func(ctx context.Context, b chatroom.Batch) error // nil delivers
	settle func(ctx context.Context) error                   // nil does nothing
}

func (o *fakeOrder) Submit(ctx context.Context, b chatroom.Batch) error {
	if o.submit == nil {
		return o.identityOrder.Submit(ctx, b)
	}
	return o.submit(ctx, b)
}

func (o *fakeOrder) Settle(ctx context.Context) error {
	if o.settle == nil {
		return nil
	}
	return o.settle(ctx)
}

// A sequence is what several servers of a test share.
type sequence struct {
	turn    chan struct{} // holds a token while somebody delivers
	servers []*sequencedOrder
}

// A sequencedOrder is the part of a sequence that one server has.
type sequencedOrder struct {
	identityOrder

	of *sequence
}

func (q *sequence) newOrder() chatroom.Order {
	o := &sequencedOrder{of: q}
	q.servers = append(q.servers, o)
	return o
}

func (o *sequencedOrder) Submit(ctx context.Context, b chatroom.Batch) error {
	select {
	case o.of.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-o.of.turn }()
	for _, other := range o.of.servers {
		if err := other.server.Deliver(context.Background(), other == o, b); err != nil && other == o {
			return err
		}
	}
	return nil
}

// batch returns a batch of one message for the room "".
func batch(from, body string) chatroom.Batch { return chatroom.Batch{Frames: message(from, body)} }

// What this server has submitted is not for its sender, nor for those excepted: members of
// this server that are there.
func TestOrderExcludes(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		o := new(fakeOrder)
		s := tr.newServer(t, chatroom.WithOrder(o))
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		alice.Send("hello")
		bob.Want("alice", "hello")
		carol.Want("alice", "hello")

		other := chatroomtest.NewServer(t)
		other.Join("first of another server")
		carol.Close()
		require.NoError(t, s.WaitLeave("carol"))
		var got chatroom.Batch
		o.submit = func(ctx context.Context, b chatroom.Batch) error {
			got = b
			got.Frames = nil
			return o.identityOrder.Submit(ctx, b)
		}
		except := []chatroom.Member{bob.Member, carol.Member, {}, bob.Member, other.Members()[0]}
		for _, broadcast := range []func(ctx context.Context, from string, body []byte, except ...chatroom.Member) error{
			s.Broadcast, s.Room("").Broadcast,
		} {
			require.NoError(t, broadcast(t.Context(), "host", []byte("not for bob"), except...))
			assert.Equal(t, []uint64{bob.Member.ID}, got.Except)
			alice.Want("host", "not for bob")
		}
		require.NoError(t, s.Room("elsewhere").Broadcast(t.Context(), "host", nil, except...))
		assert.Empty(t, got.Except)

		before := s.Stats().Deliveries
		everyone := chatroom.Batch{Sender: alice.Member.ID, Except: []uint64{1, 2, 3, 4, 1 << 63, 1<<63 | 1}}
		everyone.Frames = message("alice", "for nobody")
		require.NoError(t, s.Deliver(t.Context(), true, everyone))
		assert.Equal(t, before, s.Stats().Deliveries)
		everyone.Frames = message("alice", "of another server")
		require.NoError(t, s.Deliver(t.Context(), false, everyone))
		assert.Equal(t, before+2, s.Stats().Deliveries)
		everyone.Sender, everyone.Except, everyone.Frames = 1<<63|bob.Member.ID, nil, message("nobody", "for all")
		require.NoError(t, s.Deliver(t.Context(), true, everyone))
		for _, c := range []*chatroomtest.Client{alice, bob} {
			c.Want("alice", "of another server")
			c.Want("nobody", "for all")
			c.WantQuiet(quiet)
		}
	})
}

// Private text stays here, and does not wait for the order.
func TestOrderLeavesOutPrivateText(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		o, goOn := new(fakeOrder), make(chan struct{})
		o.submit = func(ctx context.Context, b chatroom.Batch) error {
			<-goOn
			return o.identityOrder.Submit(ctx, b)
		}
		s := tr.newServer(t, chatroom.WithOrder(o))
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("public")
		require.NoError(t, bob.Member.Send(t.Context(), "host", []byte("private")))
		bob.Want("host", "private")
		close(goOn)
		bob.Want("alice", "public")
		alice.WantQuiet(quiet)
	})
}

// Rooms and histories are as without an order, whoever has said what is in them.
func TestOrderAndHistory(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithOrder(new(identityOrder)), chatroom.WithHistory(2))
		require.NoError(t, s.Room("red").Broadcast(t.Context(), "host", []byte("seed")))
		foreign := batch("zoe", "from elsewhere")
		foreign.Room, foreign.Sender = "red", 1
		everywhere := batch("zoe", "to all")
		everywhere.All = true
		require.NoError(t, s.Deliver(t.Context(), false, foreign, foreign, everywhere, batch("zoe", "not to red")))
		alice := s.JoinRoom("red", "alice")
		alice.Want("zoe", "from elsewhere")
		alice.Want("zoe", "to all")
		bob := s.Join("bob")
		bob.Want("zoe", "to all")
		bob.Want("zoe", "not to red")
		alice.WantQuiet(quiet)
		require.Len(t, s.Rooms(), 2)
	})
	s := chatroomtest.NewServer(t, chatroom.WithOrder(new(identityOrder)))
	foreign := batch("zoe", "to nobody")
	foreign.Room = "nobody's"
	require.NoError(t, s.Deliver(t.Context(), false, foreign))
	require.Zero(t, s.Stats().Messages)
	require.Len(t, s.Rooms(), 1)
}

// Two servers have one sequence, however much is said on both.
func TestServersShareASequence(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		const messages = 200
		q := &sequence{turn: make(chan struct{}, 1)}
		servers := []*chatroomtest.Server{
			tr.newServer(t, chatroom.WithOrder(q.newOrder())),
			tr.newServer(t, chatroom.WithOrder(q.newOrder())),
		}
		var talking sync.WaitGroup
		heard := make([][]string, len(servers))
		var listeners, talkers []*chatroomtest.Client
		for i, s := range servers {
			listeners, talkers = append(listeners, s.Join("listener")), append(talkers, s.Join(fmt.Sprint("talker ", i)))
			talkers[i].Drain()
		}
		for i, s := range servers {
			listener, talker := listeners[i], talkers[i]
			talking.Go(func() {
				for range messages * len(servers) * 2 {
					m, err := listener.Receive()
					if !assert.NoError(t, err) {
						return
					}
					heard[i] = append(heard[i], m.From+" "+string(m.Body))
				}
			})
			talking.Go(func() {
				for j := range messages {
					assert.NoError(t, talker.Conn.Send(context.Background(), fmt.Append(nil, j)))
				}
			})
			talking.Go(func() {
				for j := range messages {
					assert.NoError(t, s.Broadcast(context.Background(), fmt.Sprint("host ", i), fmt.Append(nil, j)))
				}
			})
		}
		talking.Wait()
		require.True(t, slices.Equal(heard[0], heard[1]), "%v\n%v", heard[0], heard[1])
		for _, from := range []string{"talker 0", "talker 1", "host 0", "host 1"} {
			var want []string
			for j := range messages {
				want = append(want, fmt.Sprint(from, " ", j))
			}
			require.Equal(t, want, slices.DeleteFunc(slices.Clone(heard[0]), func(m string) bool { return !strings.HasPrefix(m, from) }))
		}
	})
}

// What the order does not take is not published, its sender leaves and is told why.
func TestOrderUnavailable(t *testing.T) {
	no := errors.New("no quorum")
	for name, refusal := range map[string]error{
		"unavailable": fmt.Errorf("%w: %w", chatroom.ErrUnavailable, no),
		"another":     no,
	} {
		t.Run(name, func(t *testing.T) {
			overTransports(t, func(t *testing.T, tr transport) {
				o := &fakeOrder{submit: func(context.Context, chatroom.Batch) error { return refusal }}
				s := tr.newServer(t, chatroom.WithOrder(o))
				alice, bob := s.Join("alice"), s.Join("bob")
				alice.Send("hello")
				alice.WantClosed()
				reason := s.WaitLeave("alice")
				require.ErrorIs(t, reason, chatroom.ErrUnavailable)
				require.ErrorIs(t, reason, no)
				require.Equal(t, refusal, s.Broadcast(t.Context(), "host", nil))
				require.Equal(t, refusal, s.Room("").Broadcast(t.Context(), "host", nil))
				assert.EqualValues(t, 1, s.Stats().Leaves.Unavailable)
				assert.Zero(t, s.Stats().Messages)
				bob.WantQuiet(quiet)
			})
		})
	}
}

// That the order has not taken a message is told, also of a sender that has hung up.
func TestOrderUnavailableToWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(fakeOrder)
		o.submit = func(context.Context, chatroom.Batch) error {
			time.Sleep(time.Second)
			return chatroom.ErrUnavailable
		}
		s := chatroomtest.NewServer(t, chatroom.WithOrder(o))
		raw := s.DialRaw()
		raw.SendFrame("alice")
		raw.SendFrame("last words")
		s.WantMembers("alice")
		raw.Cut()
		require.NoError(t, s.Deliver(t.Context(), false, batch("host", "cannot be written")))
		require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrUnavailable)
	})
}

// Batches have up to 16 messages of one member, each once, and its hooks run before.
func TestOrderGetsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 40
		var got []chatroom.Batch
		o, goOn := new(fakeOrder), make(chan struct{})
		o.submit = func(ctx context.Context, b chatroom.Batch) error {
			<-goOn
			b.Frames = slices.Clone(b.Frames)
			got = append(got, b)
			return o.identityOrder.Submit(ctx, b)
		}
		s := chatroomtest.NewServer(t, chatroom.WithOrder(o))
		raw, bob := s.DialRaw(), s.Join("bob")
		raw.SendFrame("raw")
		s.WantMembers("bob", "raw")
		var sent, want []byte
		for i := range messages {
			sent = chatroom.AppendFrame(sent, fmt.Append(nil, i))
			want = append(want, message("raw", fmt.Sprint(i))...)
		}
		raw.SendFrame("first")
		go func() {
			_, err := raw.Write(sent)
			assert.NoError(t, err)
		}()
		close(goOn)
		bob.Want("raw", "first")
		for i := range messages {
			bob.Want("raw", fmt.Sprint(i))
		}
		var all []byte
		for _, b := range got[1:] {
			assert.Equal(t, s.Members()[1].ID, b.Sender)
			all = append(all, b.Frames...)
		}
		assert.Equal(t, want, all)
		assert.Less(t, len(got), messages/4)
		assert.EqualValues(t, 1+messages, s.Stats().Messages)
	})
}

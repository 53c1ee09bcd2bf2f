package chatroom_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// Each member that has left counts once, with its reason, in its room and on the server,
// also when the room is gone.
func TestStatsOfLeaves(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t,
			chatroom.WithMaxMessage(100),
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				if m.Name == "panic" {
					panic("boo")
				}
			}),
			chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
				return errors.New("rude")
			}))
		stays := s.JoinRoom("red", "stays")
		leave := func(name string, end func(c *chatroomtest.Client)) error {
			c := s.JoinRoom("red", name)
			end(c)
			return s.WaitLeave(name)
		}
		require.NoError(t, leave("goodbye", (*chatroomtest.Client).Close))
		require.ErrorIs(t, leave("kicked", func(c *chatroomtest.Client) { c.Member.Kick(nil) }), chatroom.ErrKicked)
		require.ErrorContains(t, leave("rude", func(c *chatroomtest.Client) { c.Send("hello") }), "rude")
		require.Error(t, leave("lost", func(c *chatroomtest.Client) {
			c.SendPart("hello", 12)
			c.Cut()
		}))
		raw := s.DialRaw()
		raw.SendFrame("garbage")
		s.WantMembers("stays", "garbage")
		raw.SendBytes("not a header")
		require.ErrorIs(t, s.WaitLeave("garbage"), chatroom.ErrBadHeader)
		raw = s.DialRaw()
		raw.SendFrame("panic")
		require.ErrorIs(t, s.WaitLeave("panic"), chatroom.ErrHookFailed)

		inRed := chatroom.Leaves{Goodbye: 1, Kicked: 1, Hook: 1, Lost: 1}
		assert.Equal(t, inRed, s.Room("red").Stats().Leaves)
		want := inRed
		want.Protocol, want.Hook = 1, 2
		assert.Equal(t, want, s.Stats().Leaves)
		assert.EqualValues(t, 6, want.Total())
		assert.EqualValues(t, 7, s.Stats().Joins)
		stays.Close()
		require.NoError(t, s.WaitLeave("stays"))
		want.Goodbye = 2
		assert.Equal(t, want, s.Stats().Leaves, "the room red is gone")
		s.Join("to the end")
		require.NoError(t, s.Shutdown(testContext(t)))
		want.ServerClosed = 1
		assert.Equal(t, want, s.Stats().Leaves)
	})
}

func TestStatsOfRefusals(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t,
			chatroom.WithUniqueNames(),
			chatroom.WithMaxMembers(2),
			chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
				switch j.Name {
				case "nobody":
					return errors.New("not today")
				case "panic":
					panic("boo")
				}
				return nil
			}))
		s.Join("alice")
		require.ErrorIs(t, s.Refusal("alice"), chatroom.ErrNameTaken)
		s.Join("bob")
		require.ErrorIs(t, s.Refusal("carol"), chatroom.ErrRoomFull)
		require.ErrorIs(t, s.Refusal(" "), chatroom.ErrNameRejected)
		require.ErrorContains(t, s.Refusal("nobody"), "not today")
		require.ErrorIs(t, s.Refusal("panic"), chatroom.ErrHookFailed)
		raw := s.DialRaw()
		raw.SendBytes("not a header")
		raw.WantClosed()
		assert.Equal(t, chatroom.Refusals{NameTaken: 1, RoomFull: 1, NameRejected: 1, Hook: 2, Protocol: 1}, s.Stats().Refusals)
		assert.EqualValues(t, 6, s.Stats().Refusals.Total())
		assert.Zero(t, s.Stats().Leaves)
	})
}

// What was published, for how many, and how much of it was written.
func TestStatsOfDeliveries(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t,
			chatroom.WithHistory(2),
			chatroom.WithOnMessage(func(_ context.Context, _ chatroom.Member, msg *chatroom.Message) error {
				if string(msg.Body) == "drop" {
					return chatroom.ErrDrop
				}
				return nil
			}))
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		elsewhere := s.JoinRoom("red", "dave")
		alice.Send("drop")
		alice.Send("hello")
		bob.Want("alice", "hello")
		carol.Want("alice", "hello")
		ctx := testContext(t)
		require.NoError(t, carol.Member.Send(ctx, "host", []byte("psst")))
		carol.Want("host", "psst")
		except := []chatroom.Member{bob.Member, bob.Member, elsewhere.Member}
		require.NoError(t, s.Room("").Broadcast(ctx, "host", []byte("most"), except...))
		alice.Want("host", "most")
		carol.Want("host", "most")
		erin := s.Join("erin")
		erin.Want("alice", "hello")
		erin.Want("host", "most")
		s.WaitWritten()

		hello, psst, most := len(message("alice", "hello")), len(message("host", "psst")), len(message("host", "most"))
		st := s.Room("").Stats()
		assert.EqualValues(t, 1, st.Dropped)
		assert.EqualValues(t, 3, st.Messages)
		assert.EqualValues(t, hello+psst+most, st.Bytes)
		assert.EqualValues(t, 2+1+2+2, st.Deliveries)
		assert.Zero(t, st.Backlog)
		assert.Zero(t, s.Room("red").Stats().Deliveries)

		require.NoError(t, s.Shutdown(ctx)) // what is written is counted a moment later
		written := s.Room("").Stats().BytesWritten
		assert.EqualValues(t, 3*hello+psst+3*most, written)
		assert.Equal(t, written, s.Stats().BytesWritten)
	})
}

// A connection that has ended while a hook ran counts by the reason of that end,
// whatever the hook then says.
func TestFiguresOfAnEndDuringAHook(t *testing.T) {
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("no")
	}
	tests := []struct {
		name     string
		opt      chatroom.ServerOption
		leaves   chatroom.Leaves
		refusals chatroom.Refusals
	}{
		{"message hook", chatroom.WithOnMessage(func(ctx context.Context, _ chatroom.Member, _ *chatroom.Message) error {
			return wait(ctx)
		}), chatroom.Leaves{Lost: 1}, chatroom.Refusals{}},
		{"admit hook", chatroom.WithAdmit(func(ctx context.Context, _ *chatroom.Join) error {
			return wait(ctx)
		}), chatroom.Leaves{}, chatroom.Refusals{Lost: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t, tt.opt, chatroom.WithHandshakeTimeout(-1))
				near, far := chatroomtest.NewLink(0)
				ctx, cancel := context.WithCancel(t.Context())
				served := make(chan error, 1)
				go func() { served <- s.ServeConn(ctx, far) }()
				alice := s.RawConn(near)
				alice.SendFrame("alice")
				alice.SendFrame("hello")
				synctest.Wait()
				cancel()
				require.ErrorIs(t, <-served, context.Canceled)
				st := s.Stats()
				assert.Equal(t, tt.leaves, st.Leaves)
				assert.Equal(t, tt.refusals, st.Refusals)
			})
		})
	}
}

// A program's error may ask the server for something while the server looks at it.
func TestErrorThatCallsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t,
			chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
				if j.Name == "refused" {
					return curiousError{j.Server}
				}
				return nil
			}),
			chatroom.WithOnMessage(func(_ context.Context, m chatroom.Member, _ *chatroom.Message) error {
				return curiousError{m.Room().Server()}
			}))
		require.ErrorAs(t, s.Refusal("refused"), new(curiousError))
		s.Join("alice").Send("hello")
		require.ErrorAs(t, s.WaitLeave("alice"), new(curiousError))
		s.Join("bob").Member.Kick(curiousError{s.Server})
		require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrKicked)
	})
}

// A curiousError asks the server for its figures whenever it is compared.
type curiousError struct{ server *chatroom.Server }

func (curiousError) Error() string { return "how many are there?" }

func (e curiousError) Is(error) bool {
	e.server.Stats()
	return false
}

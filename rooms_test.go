package chatroom_test

import (
	"context"
	"fmt"
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

// byName is an admit hook: "alice@red" joins the room red as alice.
func byName(_ context.Context, j *chatroom.Join) error {
	j.Name, j.Room, _ = strings.Cut(j.Name, "@")
	return nil
}

func TestRooms(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithAdmit(byName))
		join := func(name string) *chatroomtest.Raw {
			raw := s.DialRaw()
			short, _, _ := strings.Cut(name, "@")
			names := append(memberNames(s.Server), short)
			raw.SendFrame(name)
			s.WantMembers(names...)
			return raw
		}
		alice, bob := join("alice@red"), join("bob@red")
		carol, dave := join("carol@blue"), join("dave")
		alice.SendFrame("in red")
		bob.Want("alice", "in red")
		require.NoError(t, s.Room("blue").Broadcast(t.Context(), "host", []byte("in blue")))
		carol.Want("host", "in blue")
		require.NoError(t, s.Room("nobody's").Broadcast(t.Context(), "host", []byte("to nobody")))
		other := chatroomtest.NewServer(t)
		for range 4 {
			other.Join("of another server")
		}
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("to all"), append(other.Members(), s.Room("red").Members()[1])...))
		alice.Want("host", "to all")
		carol.Want("host", "to all")
		dave.Want("host", "to all")
		bob.WantQuiet(quiet)

		assert.Equal(t, []chatroom.Room{s.Room(""), s.Room("blue"), s.Room("red")}, s.Rooms())
		assert.Equal(t, "red", s.Rooms()[2].Name())
		assert.Equal(t, 2, s.Room("red").Stats().Members)
		assert.Equal(t, s.Room("red"), s.Members()[0].Room())
		assert.Empty(t, s.Room("nobody's").Members())
		assert.Zero(t, s.Room("nobody's").Stats())
		st := s.Stats()
		assert.Equal(t, 4, st.Members)
		assert.EqualValues(t, 4, st.Joins)
		assert.EqualValues(t, 5, st.Messages, "one to red, one to blue, one to each of three")

		require.NoError(t, carol.Close())
		require.NoError(t, s.WaitLeave("carol"))
		assert.Equal(t, []chatroom.Room{s.Room(""), s.Room("red")}, s.Rooms())
		assert.EqualValues(t, 5, s.Stats().Messages, "what was said in rooms that are gone counts")
	})
}

func memberNames(s *chatroom.Server) (names []string) {
	for _, m := range s.Members() {
		names = append(names, m.Name)
	}
	return names
}

// Rooms that empty race with who joins next, and nothing is left of them.
func TestRoomsComeAndGo(t *testing.T) {
	const conns, times = 8, 50
	s := chatroomtest.NewServer(t, chatroom.WithAdmit(byName))
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			for j := range times {
				c, err := chatroom.Dial(t.Context(), "", "", fmt.Sprintf("member %d@room %d", i, j%3), chatroom.WithDialer(s.Listener.DialContext))
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, c.Send(t.Context(), []byte("hello")))
				assert.NoError(t, c.Close())
			}
		})
	}
	wg.Wait()
	s.WantMembers()
	require.NoError(t, s.Shutdown(testContext(t)))
	assert.Equal(t, 1, s.Stats().Rooms)
	assert.EqualValues(t, conns*times, s.Stats().Joins)
}

// Private text and exceptions have their places in the one order.
func TestPrivateTextAndExcept(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		for i := range 50 {
			require.NoError(t, s.Broadcast(t.Context(), "host", fmt.Append(nil, "all ", i)))
			require.NoError(t, bob.Member.Send(t.Context(), "host", fmt.Append(nil, "bob ", i)))
			require.NoError(t, s.Room("").Broadcast(t.Context(), "host", fmt.Append(nil, "carol ", i), alice.Member, bob.Member))
			require.NoError(t, s.Broadcast(t.Context(), "host", fmt.Append(nil, "not carol ", i), carol.Member))
		}
		for i := range 50 {
			for c, kinds := range map[*chatroomtest.Client][]string{alice: {"all", "not carol"}, bob: {"all", "bob", "not carol"}, carol: {"all", "carol"}} {
				for _, kind := range kinds {
					c.Want("host", fmt.Sprint(kind, " ", i))
				}
			}
		}
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		require.ErrorIs(t, alice.Member.Send(t.Context(), "host", nil), chatroom.ErrMemberGone)
		require.ErrorIs(t, chatroom.Member{}.Send(t.Context(), "host", nil), chatroom.ErrMemberGone)
		chatroom.Member{}.Kick(nil)
		assert.Equal(t, chatroom.Room{}, chatroom.Member{}.Room())
	})
}

// A room with a history stays for a minute, the latest thousand do.
func TestEmptyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHistory(1))
		for i := range 1100 {
			require.NoError(t, s.Room(fmt.Sprintf("room %04d", i)).Broadcast(t.Context(), "host", []byte("hello")))
		}
		require.Len(t, s.Rooms(), 1001)
		alice := s.JoinRoom("room 1099", "alice")
		alice.Want("host", "hello")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, s.Rooms(), 2)
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Len(t, s.Rooms(), 2)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Len(t, s.Rooms(), 1)
		require.EqualValues(t, 1100, s.Stats().Messages)
	})
}

func TestUniqueNamesAndFullRooms(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithUniqueNames(), chatroom.WithMaxMembers(2))
		alice := s.Join("alice")
		require.ErrorIs(t, s.Refusal("alice"), chatroom.ErrNameTaken)
		bob := s.Join("bob")
		require.ErrorIs(t, s.Refusal("carol"), chatroom.ErrRoomFull)
		alice.Member.Kick(nil)
		s.Join("alice") // free at once
		bob.Close()
		require.NoError(t, s.WaitLeave("bob"))
		s.Join("bob")
	})
}

// However many try at the same time, as many are let in as there is room.
func TestFullRoomUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithMaxMembers(10), chatroom.WithUniqueNames())
		for i := range 100 {
			go func() {
				c, err := chatroom.Dial(t.Context(), "", "", fmt.Sprint("member ", i/2), chatroom.WithDialer(s.Listener.DialContext))
				if assert.NoError(t, err) {
					t.Cleanup(func() { _ = c.Close() })
				}
			}()
		}
		synctest.Wait()
		assert.Len(t, s.Members(), 10)
		assert.EqualValues(t, 90, s.Stats().Refusals.Total())
		names := map[string]bool{}
		for _, m := range s.Members() {
			assert.False(t, names[m.Name], m.Name)
			names[m.Name] = true
		}
	})
}

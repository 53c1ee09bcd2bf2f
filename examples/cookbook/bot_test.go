package cookbook_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func isAlice(m chatroom.Member) bool { return m.Name == "alice" }

func TestBot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithUniqueNames())
		ended := make(chan error)
		go func() {
			ended <- cookbook.Bot(context.Background(), s.Server, "bot", func(m chatroom.Message) []byte {
				if string(m.Body) != "/time" {
					return nil
				}
				return []byte("it is late, " + m.From)
			})
		}()
		s.WantMembers("bot")
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("/time")
		bob.Want("alice", "/time")
		bob.Want("bot", "it is late, alice")
		alice.Want("bot", "it is late, alice")
		require.ErrorIs(t, cookbook.Bot(context.Background(), s.Server, "bot", nil), chatroom.ErrNameTaken)
		go s.Shutdown(context.Background())
		require.ErrorIs(t, <-ended, chatroom.ErrServerClosed)
	})
}

func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := chatroomtest.NewServer(t), chatroomtest.NewServer(t)
		a, b := here.Join("there"), there.Join("here")
		ended := make(chan error)
		go func() { ended <- cookbook.Bridge(context.Background(), a.Conn, b.Conn) }()
		alice, bob := here.Join("alice"), there.Join("bob")
		alice.Send("hello")
		bob.Want("here", "alice: hello")
		bob.Send("hello yourself")
		alice.Want("there", "bob: hello yourself")
		alice.WantNothing()
		bob.WantNothing()
		b.Member.Kick(nil)
		require.Equal(t, io.EOF, <-ended)
	})
}

func TestTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Twin(map[string]string{"tea": "coffee", "coffee": "tea"}))
		alice, bob, carol := s.JoinRoom("tea", "alice"), s.JoinRoom("coffee", "bob"), s.Join("carol")
		alice.Send("hello")
		bob.Want("alice", "hello")
		bob.Send("hello yourself")
		alice.Want("bob", "hello yourself")
		carol.Send("anyone?")
		for _, c := range []*chatroomtest.Client{alice, bob, carol} {
			c.WantNothing()
		}
	})
}

// A store in memory.
type store struct {
	mu   sync.Mutex
	said map[string][]chatroom.Message // by room
}

func (s *store) Save(_ context.Context, room string, m chatroom.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(m.Body) == "off the record" {
		return io.ErrShortWrite
	}
	m.Body = slices.Clone(m.Body)
	s.said[room] = append(s.said[room], m)
	return nil
}

func (s *store) Last(_ context.Context, room string, n int) ([]chatroom.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.said[room]
	return slices.Clone(said[max(0, len(said)-n):]), nil
}

func TestKeep(t *testing.T) {
	said := &store{said: make(map[string][]chatroom.Message)}
	t.Run("today", func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Keep(said))
		alice, bob := s.Join("alice"), s.Join("bob")
		for _, line := range []string{"one", "two", "three", "off the record"} {
			alice.Send(line)
		}
		bob.Want("alice", "one")
		bob.Want("alice", "two")
		bob.Want("alice", "three")
		require.ErrorIs(t, s.WaitLeave("alice"), io.ErrShortWrite)
	})
	t.Run("tomorrow", func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHistory(2), cookbook.Keep(said))
		require.NoError(t, cookbook.Seed(t.Context(), s.Server, said, 2, ""))
		alice := s.Join("alice")
		alice.Want("alice", "two")
		alice.Want("alice", "three")
	})
}

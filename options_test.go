package chatroom_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// Zero and nil are the defaults.
func TestZeroOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t,
			chatroom.WithMaxMessage(0), chatroom.WithHandshakeTimeout(0), chatroom.WithWriteTimeout(0),
			chatroom.WithIdleTimeout(0), chatroom.WithBacklog(0), chatroom.WithLogger(nil),
			chatroom.WithNameRule(nil), chatroom.WithOnJoin(nil), chatroom.WithOnLeave(nil))
		assert.ErrorIs(t, s.Refusal("not\na name"), chatroom.ErrNameRejected)
		assert.ErrorIs(t, s.Broadcast(context.Background(), "", make([]byte, chatroom.DefaultMaxMessage+1)), chatroom.ErrFrameTooLarge)
		start := time.Now()
		s.DialRaw().WantClosed()
		assert.Equal(t, chatroom.DefaultHandshakeTimeout, time.Since(start))

		stalled := s.DialRaw()
		stalled.SendFrame("stalled")
		alice := s.Join("alice", chatroom.WithMaxMessage(0))
		assert.ErrorIs(t, alice.Conn.Send(context.Background(), make([]byte, chatroom.DefaultMaxMessage+1)), chatroom.ErrFrameTooLarge)
		start = time.Now()
		alice.Send("hello")
		require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
		assert.Equal(t, chatroom.DefaultWriteTimeout, time.Since(start))
		time.Sleep(24 * time.Hour)
		s.WantMembers("alice")
	})
}

// Negative is none, but for the backlog, which has to have a bound.
func TestNegativeOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t,
			chatroom.WithMaxMessage(-1), chatroom.WithHandshakeTimeout(-1), chatroom.WithWriteTimeout(-1),
			chatroom.WithIdleTimeout(-1), chatroom.WithBacklog(-1))
		stranger, stalled := s.DialRaw(), s.DialRaw()
		stalled.SendFrame("stalled")
		alice := s.Join("alice", chatroom.WithMaxMessage(-1))
		bob := s.Join("bob", chatroom.WithMaxMessage(-1))
		long := strings.Repeat("long ", chatroom.DefaultMaxMessage)
		alice.Send(long)
		bob.Want("alice", long)
		time.Sleep(24 * time.Hour)
		s.WantMembers("stalled", "alice", "bob")
		stranger.SendFrame("no stranger any more")
		s.WantMembers("stalled", "alice", "bob", "no stranger any more")
	})
}

// A nil dialer is that of the net package.
func TestNilDialer(t *testing.T) {
	s := chatroom.NewServer()
	l := listenTCP(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := chatroom.Dial(t.Context(), "tcp", l.Addr().String(), "alice", chatroom.WithDialer(nil))
	require.NoError(t, err)
	assert.Equal(t, l.Addr().String(), c.RemoteAddr().String())
	assert.IsType(t, &net.TCPAddr{}, c.LocalAddr())
	require.NoError(t, c.Close())
	require.NoError(t, s.Shutdown(testContext(t)))
	assert.ErrorIs(t, <-served, chatroom.ErrServerClosed)
	_, err = chatroom.Dial(t.Context(), "no network", "", "alice")
	var unknown net.UnknownNetworkError
	assert.ErrorAs(t, err, &unknown)
}

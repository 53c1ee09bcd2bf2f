package chatroom_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A tellingConn asks for a room, and is told when it is let in and why it is closed.
type tellingConn struct {
	net.Conn

	mu       sync.Mutex
	admitted int
	reason   error
	told     bool
	atClosed error // the reason when it was closed
}

func (c *tellingConn) Room() string { return "lobby" }

func (c *tellingConn) Admitted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admitted++
}

func (c *tellingConn) isAdmitted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.admitted > 0
}

func (c *tellingConn) SetCloseReason(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason, c.told = reason, true
}

func (c *tellingConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		c.atClosed = c.reason
	} else {
		c.atClosed = errors.New("not told")
	}
	return c.Conn.Close()
}

// A connection that asks for a room gets it. One that wants to know when the admit hooks have
// let it in is told after they have run, and one that wants to know why it is closed, before.
func TestServeConnAsksConn(t *testing.T) {
	errSpam, errEntry := errors.New("spam"), errors.New("members only")
	tests := []struct {
		name string
		end  func(s *chatroom.Server, peer net.Conn)
		want error
	}{
		{"kick", func(s *chatroom.Server, _ net.Conn) { s.Members()[0].Kick(errSpam) }, errSpam},
		{"shutdown", func(s *chatroom.Server, _ net.Conn) { _ = s.Shutdown(context.Background()) }, chatroom.ErrServerClosed},
		{"close", func(s *chatroom.Server, _ net.Conn) { _ = s.Close() }, chatroom.ErrServerClosed},
		{"goodbye", func(_ *chatroom.Server, peer net.Conn) { _ = peer.Close() }, nil},
		{"refusal", nil, errEntry},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			joined := make(chan string, 1)
			s := chatroom.NewServer(
				chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
					if j.Room != "lobby" || tt.end == nil || j.Conn.(*tellingConn).isAdmitted() {
						return errEntry
					}
					return nil
				}),
				chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { joined <- m.Room().Name() }))
			near, far := net.Pipe()
			defer near.Close()
			c := &tellingConn{Conn: far}
			served := make(chan error, 1)
			go func() { served <- s.ServeConn(t.Context(), c) }()
			_, err := near.Write(chatroom.AppendFrame(nil, []byte("ann")))
			require.NoError(t, err)
			if tt.end != nil {
				require.Equal(t, "lobby", <-joined)
				tt.end(s, near)
			}
			require.ErrorIs(t, <-served, tt.want)
			require.ErrorIs(t, c.atClosed, tt.want)
			assert.Equal(t, tt.end != nil, c.admitted == 1)
			if tt.want == nil {
				assert.NoError(t, c.atClosed)
			}
			require.NoError(t, s.Shutdown(t.Context()))
		})
	}
}

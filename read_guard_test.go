package chatroom_test

import (
	"context"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A rekeyingConn does what TLS does for a peer that asks for new keys and does
// not read: once told to, a read writes, under a lock that writing and closing
// need as well.
type rekeyingConn struct {
	net.Conn
	rekey chan struct{}
	out   chan struct{} // holds a token while nobody writes
}

func newRekeyingConn(nc net.Conn) *rekeyingConn {
	c := &rekeyingConn{Conn: nc, rekey: make(chan struct{}, 1), out: make(chan struct{}, 1)}
	c.out <- struct{}{}
	return c
}

func (c *rekeyingConn) NetConn() net.Conn { return c.Conn }

func (c *rekeyingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		select {
		case <-c.rekey:
			_, err = c.Write([]byte("new keys"))
		default:
		}
	}
	return n, err
}

func (c *rekeyingConn) Write(p []byte) (int, error) {
	<-c.out
	defer func() { c.out <- struct{}{} }()
	return c.Conn.Write(p)
}

func (c *rekeyingConn) Close() error {
	<-c.out
	defer func() { c.out <- struct{}{} }()
	return c.Conn.Close()
}

// A peer that keeps a read writing cannot keep its session, nor the server's end.
func TestReadThatWrites(t *testing.T) {
	tests := []struct {
		name  string
		opts  []chatroom.ServerOption
		end   func(s *chatroomtest.Server) error
		after time.Duration
		want  error
	}{
		{"Shutdown", nil, func(s *chatroomtest.Server) error { return s.Shutdown(context.Background()) }, 500 * time.Millisecond, chatroom.ErrServerClosed},
		{"Close", nil, func(s *chatroomtest.Server) error { return s.Server.Close() }, 0, chatroom.ErrServerClosed},
		{
			"idle timeout", []chatroom.ServerOption{chatroom.WithIdleTimeout(time.Minute)},
			func(*chatroomtest.Server) error { return nil }, time.Minute + 500*time.Millisecond, os.ErrDeadlineExceeded,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t, tt.opts...)
				near, far := net.Pipe()
				nc := newRekeyingConn(far)
				served := make(chan error, 1)
				go func() { served <- s.ServeConn(t.Context(), nc) }()
				_, err := near.Write(chatroom.AppendFrame(nil, []byte("mallory")))
				require.NoError(t, err)
				s.WantMembers("mallory")
				nc.rekey <- struct{}{}
				_, err = near.Write([]byte("x")) // and reads nothing
				require.NoError(t, err)
				synctest.Wait()

				start := time.Now()
				require.NoError(t, tt.end(s))
				require.ErrorIs(t, <-served, tt.want)
				require.ErrorIs(t, s.WaitLeave("mallory"), tt.want)
				assert.Equal(t, tt.after, time.Since(start))
			})
		})
	}
}

// A member that has been written to, and then is quiet for long, may still have
// its connection write while it reads.
func TestLateReadThatWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(time.Second))
		near, far := net.Pipe()
		nc := newRekeyingConn(far)
		go func() { _ = s.ServeConn(t.Context(), nc) }()
		alice := s.JoinConn(near, "alice")
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("hello")))
		alice.Want("host", "hello")
		time.Sleep(time.Hour)
		nc.rekey <- struct{}{}
		alice.SendPart("", 1)
		p := make([]byte, 8)
		_, err := near.Read(p)
		require.NoError(t, err)
		assert.Equal(t, "new keys", string(p))
		s.WantMembers("alice")
	})
}

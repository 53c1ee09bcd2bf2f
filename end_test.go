package chatroom_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A member that takes nothing of what it is owed at the server's end leaves as
// the slow consumer that it is.
func TestSlowConsumerAtTheEnd(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			const members = 20
			s := chatroomtest.NewServer(t)
			for range members {
				s.Raw().SendFrame("stalled")
			}
			synctest.Wait()
			require.NoError(t, s.Broadcast("host", []byte("hello")))
			synctest.Wait()
			require.NoError(t, s.Shutdown(t.Context()))
			for range members {
				require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
			}
			assert.Equal(t, uint64(members), s.Stats().SlowConsumers)
		})
	}
}

// A lateConn is a connection whose client has gone, but whose last words have
// arrived.
type lateConn struct {
	net.Conn
	words *bytes.Reader
	by    atomic.Pointer[time.Time]
}

func (c *lateConn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *lateConn) SetReadDeadline(t time.Time) error { c.by.Store(&t); return nil }
func (c *lateConn) SetWriteDeadline(time.Time) error  { return nil }
func (c *lateConn) Write([]byte) (int, error)         { return 0, syscall.EPIPE }

func (c *lateConn) Read(p []byte) (int, error) {
	if by := c.by.Load(); by != nil && !by.IsZero() && !time.Now().Before(*by) {
		return 0, os.ErrDeadlineExceeded
	}
	return c.words.Read(p[:min(len(p), 15)])
}

// The moment in which the last words of a member that has gone are read begins
// when its join hook has returned.
func TestLastWordsBehindAJoinHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnJoin(func(m chatroom.Member) {
			if m.Name == "goner" {
				time.Sleep(time.Second)
			}
		}))
		bob := s.Join("bob")
		near, far := net.Pipe()
		defer near.Close()
		words := chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("goner")), []byte("last words"))
		served := make(chan error, 1)
		go func() {
			served <- s.ServeConn(context.Background(), &lateConn{Conn: far, words: bytes.NewReader(words)})
		}()
		synctest.Wait()
		require.NoError(t, s.Broadcast("host", []byte("anyone there?")))
		bob.Want("host", "anyone there?")
		require.NoError(t, <-served)
		bob.Want("goner", "last words")
	})
}

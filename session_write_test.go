package chatroom_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
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
				s.DialRaw().SendFrame("stalled")
			}
			synctest.Wait()
			require.NoError(t, s.Broadcast(context.Background(), "host", []byte("hello")))
			synctest.Wait()
			require.NoError(t, s.Shutdown(t.Context()))
			for range members {
				require.ErrorIs(t, s.WaitLeave("stalled"), chatroom.ErrSlowConsumer)
			}
			assert.Equal(t, uint64(members), s.Stats().Leaves.SlowConsumer)
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
		s := chatroomtest.NewServer(t, chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
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
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("anyone there?")))
		bob.Want("host", "anyone there?")
		require.NoError(t, <-served)
		bob.Want("goner", "last words")
	})
}

// So does the moment behind a message hook that takes its time.
func TestLastWordsBehindAMessageHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOnMessage(func(_ context.Context, m chatroom.Member, msg *chatroom.Message) error {
			time.Sleep(time.Second)
			if string(msg.Body) == "drop" {
				return chatroom.ErrDrop
			}
			return nil
		}))
		bob := s.Join("bob")
		near, far := net.Pipe()
		defer near.Close()
		var words []byte
		for _, frame := range []string{"goner", "first", "drop", "last words"} {
			words = chatroom.AppendFrame(words, []byte(frame))
		}
		served := make(chan error, 1)
		go func() {
			served <- s.ServeConn(context.Background(), &lateConn{Conn: far, words: bytes.NewReader(words)})
		}()
		synctest.Wait()
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("anyone there?")))
		bob.Want("host", "anyone there?")
		bob.Want("goner", "first")
		bob.Want("goner", "last words")
		require.NoError(t, <-served)
	})
}

// A member that a hook has put out leaves for that reason, and counts as such, even if
// it could not be written to any more.
func TestVerdictBehindAFailedWrite(t *testing.T) {
	rude := errors.New("rude")
	tests := []struct {
		name string
		opt  chatroom.ServerOption
		want error
	}{
		{"message hook", chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
			time.Sleep(time.Second)
			return rude
		}), rude},
		{"panic in a message hook", chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
			time.Sleep(time.Second)
			panic("boo")
		}), chatroom.ErrHookFailed},
		{"panic in a join hook", chatroom.WithOnJoin(func(context.Context, chatroom.Member) {
			time.Sleep(time.Second)
			panic("boo")
		}), chatroom.ErrHookFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t, tt.opt)
				near, far := net.Pipe()
				defer near.Close()
				words := chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("goner")), []byte("hello"))
				served := make(chan error, 1)
				go func() {
					served <- s.ServeConn(context.Background(), &lateConn{Conn: far, words: bytes.NewReader(words)})
				}()
				synctest.Wait()
				require.NoError(t, s.Broadcast(context.Background(), "host", []byte("anyone there?")))
				require.ErrorIs(t, <-served, tt.want)
				require.ErrorIs(t, s.WaitLeave("goner"), tt.want)
				assert.Equal(t, chatroom.Leaves{Hook: 1}, s.Stats().Leaves)
			})
		})
	}
}

// A tcpLink is a link that seems to be a TCP connection.
type tcpLink struct{ *chatroomtest.Link }

func (tcpLink) RemoteAddr() net.Addr { return new(net.TCPAddr) }

// A member that has left the room receives nothing that is published from then on,
// though a write to it may still be under way.
func TestNothingAfterTheLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		near, far := chatroomtest.NewLink(64)
		go func() { _ = s.ServeConn(t.Context(), tcpLink{far}) }()
		alice := s.RawConn(near)
		alice.SendFrame("alice")
		s.WantMembers("alice")
		long := strings.Repeat("x", 100)
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte(long)))
		synctest.Wait() // the write does not fit the link
		require.NoError(t, near.CloseWrite())
		synctest.Wait()
		s.WantMembers()
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("after her")))
		alice.Want("host", long)
		alice.WantClosed()
	})
}

// A layeredConn does what TLS does with a write that meets its deadline: nothing
// can be written any more.
type layeredConn struct {
	net.Conn
	broken atomic.Bool
}

func (c *layeredConn) NetConn() net.Conn { return c.Conn }

func (c *layeredConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, os.ErrInvalid
	}
	n, err := c.Conn.Write(p)
	c.broken.Store(err != nil)
	return n, err
}

// Over a layer, too, a member may take its time with a long message, as long as
// it takes a record's worth within the write timeout.
func TestSlowReaderOverALayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 200_000
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(time.Minute))
		near, far := net.Pipe()
		go func() { _ = s.ServeConn(t.Context(), &layeredConn{Conn: far}) }()
		alice := s.RawConn(near)
		alice.SendFrame("alice")
		s.WantMembers("alice")
		require.NoError(t, s.Broadcast(context.Background(), "host", make([]byte, size)))
		for left := 2*len("0000000000") + len("host") + size; left > 0; time.Sleep(2 * time.Second) {
			n, err := alice.Read(make([]byte, 1000)) // a record in half a minute
			require.NoError(t, err)
			left -= n
		}
		s.WantMembers("alice")
	})
}

// A closingConn tells that it is being closed.
type closingConn struct {
	net.Conn
	closing func()
}

func (c closingConn) Close() error {
	c.closing()
	return c.Conn.Close()
}

// A peer that finds itself hung up on is not in the room any more.
func TestUnlistedBeforeItIsHungUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		near, far := net.Pipe()
		listed := -1
		nc := closingConn{far, func() { listed = len(s.Members()) }}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(ctx, nc) }()
		s.RawConn(near).SendFrame("alice")
		s.WantMembers("alice")
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
		assert.Zero(t, listed)
	})
}

// What reads of the system's own connections return looks as if the connections
// had returned it.
func TestReadErrorNamesTheRead(t *testing.T) {
	reasons := make(chan error, 1)
	l := listenTCP(t)
	newBareServer(t, l, chatroom.WithIdleTimeout(10*time.Millisecond), chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { reasons <- reason }))
	joinBare(t, l, "alice")
	require.ErrorContains(t, receive(t, reasons, "the leave"), ": read tcp ")
}

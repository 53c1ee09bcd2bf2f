package chatroom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A member that leaves while it is owed more than its connection holds is gone
// at once too.
func TestLeaveWhileBlockedOnWrite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		m := s.DialRaw()
		m.SendFrame("goner")
		s.WantMembers("goner")
		for range 40 {
			require.NoError(t, s.Broadcast(context.Background(), "host", make([]byte, 256<<10)))
		}
		m.Cut()
		s.WaitLeave("goner")
		assert.Empty(t, s.Members())
	})
}

// The last words of a client that says goodbye while it is being written to
// reach the room, and its leave is clean.
func TestLastWordsBesideAFailedWrite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		bob := s.Join("bob")
		for i := range 20 {
			name := fmt.Sprintf("goner %d", i)
			alice := s.Join(name)
			alice.Send("last words")
			alice.Close()
			for range 3 {
				require.NoError(t, s.Broadcast(context.Background(), "host", []byte("anyone there?")))
			}
			words := 0
			for range 4 {
				m, err := bob.Receive()
				require.NoError(t, err)
				if m.From == name {
					words++
				}
			}
			assert.Equal(t, 1, words)
			require.NoError(t, s.WaitLeave(name))
		}
	})
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		ok   bool
	}{
		{"a", true}, {"Ünïcödé 名前", true}, {strings.Repeat("x", 64), true}, {"two words", true},
		{" ", false}, {" a", false}, {"a\u200bb", false},
		{"", false}, {strings.Repeat("x", 65), false}, {"a\x00b", false}, {"a\nb", false},
		{"\x1b[2J", false}, {"a\u0085b", false}, {"a\x7f", false}, {"a\xffb", false},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			joined := 0
			s := chatroomtest.NewServer(t,
				chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
				chatroom.WithOnJoin(func(context.Context, chatroom.Member) { joined++ }),
				chatroom.WithOnLeave(func(context.Context, chatroom.Member, error) { joined++ }))
			near, far := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- s.ServeConn(t.Context(), far) }()
			_, err := near.Write(chatroom.AppendFrame(nil, []byte(tt.name)))
			require.NoError(t, err)
			if tt.ok {
				synctest.Wait()
				s.WantMembers(tt.name)
				require.NoError(t, near.Close())
				require.NoError(t, <-served)
				return
			}
			err = <-served
			require.ErrorIs(t, err, chatroom.ErrNameRejected, "name %q", tt.name)
			assert.ErrorContains(t, err, fmt.Sprintf("%.100q", tt.name))
			_, err = near.Read(make([]byte, 1))
			assert.Equal(t, io.EOF, err, "the connection is closed")
			assert.Empty(t, s.Members())
			synctest.Wait()
			assert.Zero(t, joined, "no hook hears of it")
			assert.Contains(t, log.String(), "name rejected")
			assert.Equal(t, chatroom.Refusals{NameRejected: 1}, s.Stats().Refusals)
		})
	}
}

func TestNameRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errTaken := errors.New("taken")
		s := chatroomtest.NewServer(t, chatroom.WithNameRule(func(name string) error {
			switch name {
			case "taken":
				return errTaken
			case "panic":
				panic("rule")
			}
			return nil
		}))
		s.Join("")
		s.Join(strings.Repeat("x", 1000))
		raw := s.DialRaw()
		raw.SendFrame("taken")
		raw.WantClosed()
		raw = s.DialRaw()
		raw.SendFrame("panic")
		raw.WantClosed()
		near, far := net.Pipe()
		go func() { _, _ = near.Write(chatroom.AppendFrame(nil, []byte("taken"))) }()
		require.ErrorIs(t, s.ServeConn(t.Context(), far), errTaken)
	})
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		for _, part := range []string{"", "3   ", "3         ab"} {
			start := time.Now()
			raw := s.DialRaw()
			raw.SendBytes(part)
			raw.WantClosed()
			assert.Equal(t, 10*time.Second, time.Since(start))
		}
		near, far := net.Pipe()
		defer near.Close()
		require.ErrorIs(t, s.ServeConn(t.Context(), far), os.ErrDeadlineExceeded)
		assert.Equal(t, chatroom.Refusals{Timeout: 4}, s.Stats().Refusals)
	})
}

func TestTimeoutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHandshakeTimeout(-1), chatroom.WithWriteTimeout(-1), chatroom.WithIdleTimeout(-1))
		raw := s.DialRaw()
		time.Sleep(20 * time.Hour)
		raw.SendFrame("late")
		s.WantMembers("late")
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("unread")))
		time.Sleep(20 * time.Hour)
		s.WantMembers("late")
		raw.WantBytes("4         host")
		raw.WantBytes("6         unread")
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithIdleTimeout(time.Hour))
		start := time.Now()
		alice, bob := s.Join("alice"), s.Join("bob")
		time.Sleep(50 * time.Minute)
		alice.Send("keeps alice")
		bob.Want("alice", "keeps alice")
		bob.WantClosed()
		assert.Equal(t, time.Hour, time.Since(start))
		require.ErrorIs(t, s.WaitLeave("bob"), os.ErrDeadlineExceeded)
		alice.WantClosed()
		assert.Equal(t, time.Hour+50*time.Minute, time.Since(start))
	})
}

// A member that takes a little now and then is not timed out, however much it is
// owed; one that takes nothing is, after exactly the timeout.
func TestWriteTimeoutMeasuresProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(time.Minute))
		raw := s.DialRaw()
		raw.SendFrame("slow")
		s.WantMembers("slow")
		body := strings.Repeat("x", 100)
		require.NoError(t, s.Broadcast(context.Background(), "h", []byte(body)))
		require.NoError(t, s.Broadcast(context.Background(), "h", []byte("never read")))
		owed := string(chatroom.AppendFrame([]byte("1         h"), []byte(body)))
		for i := range owed {
			time.Sleep(59 * time.Second)
			raw.WantBytes(owed[i : i+1])
		}
		start := time.Now()
		reason := s.WaitLeave("slow")
		require.ErrorIs(t, reason, os.ErrDeadlineExceeded)
		require.ErrorIs(t, reason, chatroom.ErrSlowConsumer)
		assert.LessOrEqual(t, time.Since(start), 2*time.Minute)
		assert.Equal(t, uint64(1), s.Stats().Leaves.SlowConsumer)
	})
}

func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := chatroomtest.NewServer(t, chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		alice := s.Join("alice")
		alice.Send(strings.Repeat("x", 1000))
		synctest.Wait()
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
		assert.Contains(t, log.String(), "msg=listening addr=pipe")
		assert.Contains(t, log.String(), "msg=joined id=1 name=alice room=\"\" remote=pipe:1")
		assert.Contains(t, log.String(), "msg=message id=1 name=alice room=\"\" remote=pipe:1 text="+strings.Repeat("x", 256)+" bytes=1000")
		assert.Contains(t, log.String(), "msg=left id=1 name=alice room=\"\" remote=pipe:1\n")
	})
}

// A brittleConn is a connection on top of another that shows nothing of it, and of
// which a write that meets its deadline cannot be resumed, as with wrapped TLS.
type brittleConn struct {
	net.Conn
	broken error
}

func (c *brittleConn) Write(p []byte) (n int, err error) {
	if c.broken == nil {
		n, c.broken = c.Conn.Write(p)
	}
	return n, c.broken
}

// A member that takes something now and then keeps a brittle connection.
func TestWriteTimeoutOnBrittleConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(10*time.Second))
		near, far := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(context.Background(), &brittleConn{Conn: far}) }()
		_, err := near.Write(chatroom.AppendFrame(nil, []byte("alice")))
		require.NoError(t, err)
		s.WantMembers("alice")
		buf := make([]byte, 1000)
		for range 20 {
			require.NoError(t, s.Broadcast(context.Background(), "host", []byte("hello")))
			time.Sleep(6 * time.Second)
			_, err := near.Read(buf)
			require.NoError(t, err)
			s.WantMembers("alice")
		}
		require.NoError(t, near.Close())
		require.NoError(t, <-served)
	})
}

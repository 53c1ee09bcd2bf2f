package chatroom_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	conns "example.com/chatroom/internal/transport"
)

// A polledConn is a connection in memory that the sweep writes to: take gets what
// it is offered, and says how much of it is taken.
type polledConn struct {
	name  []byte // what there is to read, as a frame
	take  func(p []byte) int
	wrote func() // called after each write; may be nil

	mu     sync.Mutex
	read   bool
	closed chan struct{}
	moved  chan struct{} // a token when take may take more
}

var _ conns.Pollable = (*polledConn)(nil)

func newPolledConn(name string, take func(p []byte) int) *polledConn {
	return &polledConn{
		name: chatroom.AppendFrame(nil, []byte(name)), take: take,
		closed: make(chan struct{}), moved: make(chan struct{}, 1),
	}
}

func (c *polledConn) AwaitRead(try func() bool) error {
	if !c.read && try() {
		return nil
	}
	<-c.closed
	return net.ErrClosed
}

func (c *polledConn) TryRead(p []byte) (int, error) {
	c.read = true
	return copy(p, c.name), nil
}

func (c *polledConn) TryWrite(runs [][]byte) (int, error) {
	n := 0
	for _, run := range runs {
		took := c.take(run)
		if n += took; took < len(run) {
			break
		}
	}
	if c.wrote != nil {
		c.wrote()
	}
	return n, nil
}

func (c *polledConn) AwaitWrite(runs [][]byte) (int, error) {
	for {
		if n, _ := c.TryWrite(runs); n > 0 {
			return n, nil
		}
		select {
		case <-c.moved:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
}

func (c *polledConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func (c *polledConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (c *polledConn) Write([]byte) (int, error)        { return 0, os.ErrInvalid }
func (c *polledConn) SetLinger(int) error              { return nil }
func (c *polledConn) LocalAddr() net.Addr              { return chatroomtest.Addr("here") }
func (c *polledConn) RemoteAddr() net.Addr             { return chatroomtest.Addr("there") }
func (c *polledConn) SetDeadline(time.Time) error      { return nil }
func (c *polledConn) SetReadDeadline(time.Time) error  { return nil }
func (c *polledConn) SetWriteDeadline(time.Time) error { return nil }

// joinPolled joins over nc and waits until the room lists the member.
func joinPolled(t testing.TB, s *chatroom.Server, nc net.Conn) {
	t.Helper()
	before := s.Stats().Members
	served := make(chan error, 1)
	go func() { served <- s.ServeConn(context.Background(), nc) }()
	t.Cleanup(func() {
		_ = nc.Close()
		<-served
	})
	synctest.Wait()
	require.Equal(t, before+1, s.Stats().Members)
}

// The sweep serves its members in turn, also when each would take much more: a
// room that is ahead of its sweep does not leave the last of them behind.
func TestSweepIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages, size, visit = 300, 10_000, 256 << 10
		s := chatroom.NewServer()
		got := make([]int, 3)
		letGo := make(chan struct{})
		for i := range got {
			joinPolled(t, s, newPolledConn(fmt.Sprint(i), func(p []byte) int {
				<-letGo // until all is published
				got[i] += len(p)
				assert.LessOrEqual(t, got[i]-slices.Min(got), visit, "member %d is ahead of others", i)
				return len(p)
			}))
		}
		for range messages {
			require.NoError(t, s.Broadcast(t.Context(), "host", make([]byte, size)))
		}
		close(letGo)
		require.NoError(t, s.Flush(t.Context()))
		want := messages * len(message("host", string(make([]byte, size))))
		assert.Equal(t, []int{want, want, want}, got)
	})
}

// Whoever the sweep has not come to is not slow: the room is held until it has,
// however long that takes, and nobody is evicted.
func TestSweepBehindEvictsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroom.NewServer(chatroom.WithBacklog(64 << 10))
		stuck, letGo := make(chan struct{}, 1), make(chan struct{})
		joinPolled(t, s, newPolledConn("first", func(p []byte) int {
			select {
			case stuck <- struct{}{}:
				<-letGo
			default:
			}
			return len(p)
		}))
		for i := range 3 {
			joinPolled(t, s, newPolledConn(fmt.Sprint(i), func(p []byte) int { return len(p) }))
		}
		done := make(chan error)
		go func() {
			var err error
			for i := 0; err == nil && i < 300; i++ {
				err = s.Broadcast(t.Context(), "host", make([]byte, 1000))
			}
			done <- err
		}()
		synctest.Wait()
		for range 60 {
			require.True(t, s.Stats().Held)
			time.Sleep(time.Minute)
		}
		close(letGo)
		require.NoError(t, <-done)
		require.NoError(t, s.Flush(t.Context()))
		assert.Equal(t, 4, s.Stats().Members)
		assert.Zero(t, s.Stats().Leaves.SlowConsumer)
		assert.False(t, s.Stats().Held)
	})
}

// Each write holds whole pairs of name and message, whatever their sizes: the
// tutorials' clients read a name and give up when its message is not there yet.
func TestWritesAreWholePairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroom.NewServer()
		var in bytes.Buffer
		total, got, writes := 0, 0, 0 // got and writes are the sweep's until all is flushed
		nc := newPolledConn("alice", func(p []byte) int {
			n, _ := in.Write(p)
			return n
		})
		nc.wrote = func() {
			for writes++; in.Len() > 0; {
				from, err := chatroom.ReadFrame(&in, -1)
				assert.NoError(t, err)
				assert.Equal(t, "host", string(from))
				body, err := chatroom.ReadFrame(&in, -1)
				if !assert.NoError(t, err, "write %d ends inside a pair", writes) {
					return
				}
				got += len(body)
			}
		}
		joinPolled(t, s, nc)
		for i := range 400 {
			size := (i * 7919) % 20000
			if i%50 == 49 {
				size = 200 << 10
			}
			total += size
			require.NoError(t, s.Broadcast(t.Context(), "host", make([]byte, size)))
			if i%7 == 0 {
				synctest.Wait() // or all is one write
			}
		}
		require.NoError(t, s.Flush(t.Context()))
		assert.Equal(t, total, got)
		assert.Greater(t, writes, 50)
	})
}

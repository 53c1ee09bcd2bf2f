//go:build !race

package chatroom_test

// Tests that take hundreds of megabytes, which the race detector makes several times as
// dear.

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// Unfinished frames share an amount of memory. One may take more than is left. Who else
// needs more waits, for as long as a frame may take, and goes on when it is there.
func TestMemoryOfUnfinishedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 200 << 20 // of which there is not twice as much
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(size), chatroom.WithWriteTimeout(-1), chatroom.WithFrameTimeout(-1))
		frame := chatroom.AppendFrame(nil, make([]byte, size))
		write := func(name string, n int) (raw *chatroomtest.Raw, written chan int) {
			raw, written = s.DialRaw(), make(chan int, 1)
			raw.SendFrame(name)
			go func() {
				n, _ := raw.Write(frame[:n])
				written <- n
			}()
			synctest.Wait()
			return raw, written
		}
		write("alice", len(frame)-1)
		bob, _ := write("bob", len(frame)-1)
		start := time.Now()
		_, written := write("carol", len(frame))
		require.ErrorIs(t, s.WaitLeave("carol"), os.ErrDeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start), "also if frames may take for ever")
		require.Less(t, <-written, size)
		_, written = write("dave", len(frame))
		require.Empty(t, written)
		bob.Cut()
		require.ErrorIs(t, s.WaitLeave("bob"), syscall.ECONNRESET)
		require.Equal(t, len(frame), <-written)
		s.WantMembers("alice", "dave")
	})
}

// A member that is silent after a long message takes nothing of it.
func TestMemoryOfFinishedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 257 << 20 // more than there is
		s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(size), chatroom.WithWriteTimeout(-1), chatroom.WithOnMessage(
			func(context.Context, chatroom.Member, *chatroom.Message) error { return chatroom.ErrDrop }))
		frame := chatroom.AppendFrame(nil, make([]byte, size))
		alice, bob := s.DialRaw(), s.DialRaw()
		alice.SendFrame("alice")
		s.WantMembers("alice")
		bob.SendFrame("bob")
		s.WantMembers("alice", "bob")
		start := time.Now()
		for _, raw := range []*chatroomtest.Raw{alice, bob} {
			_, err := raw.Write(frame)
			require.NoError(t, err)
		}
		synctest.Wait()
		s.WantMembers("alice", "bob")
		require.Zero(t, time.Since(start))
	})
}

// Frames that together need more than there is, and none of which fits any more once all
// have taken a part, become whole one after the other.
func TestFramesDoNotWaitForEachOther(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a gigabyte")
	}
	const size, members = 17 << 20, 17 // 16 MiB of each are all
	l := listenTCP(t)
	s := newBareServer(t, l, chatroom.WithMaxMessage(size), chatroom.WithFrameTimeout(-1), chatroom.WithOnMessage(
		func(context.Context, chatroom.Member, *chatroom.Message) error { return chatroom.ErrDrop }))
	frame := chatroom.AppendFrame(nil, make([]byte, size))
	var writers sync.WaitGroup
	for i := range members {
		nc := joinBare(t, l, fmt.Sprint(i))
		writers.Go(func() {
			_, err := nc.Write(frame)
			assert.NoError(t, err)
			assert.NoError(t, nc.(*net.TCPConn).CloseWrite())
			_, err = nc.Read(make([]byte, 1))
			assert.Equal(t, io.EOF, err)
		})
	}
	writers.Wait()
	assert.EqualValues(t, members, s.Stats().Dropped)
}

// What empty rooms keep is bounded in all.
func TestMemoryOfEmptyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHistory(1000), chatroom.WithBacklog(256<<20))
		for i := range 4 {
			alice := s.JoinRoom(fmt.Sprint(i), "alice")
			for range 25 {
				require.NoError(t, alice.Member.Room().Broadcast(t.Context(), "host", make([]byte, 1<<20), alice.Member))
			}
			alice.Close()
			require.NoError(t, s.WaitLeave("alice"))
		}
		require.Equal(t, []chatroom.Room{s.Room(""), s.Room("2"), s.Room("3")}, s.Rooms())
	})
}

// So is what the program says in rooms that are empty already.
func TestMemoryOfSeededRooms(t *testing.T) {
	s := chatroom.NewServer(chatroom.WithHistory(1000), chatroom.WithBacklog(256<<20))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for i := range 4 {
		for range 25 {
			require.NoError(t, s.Room(fmt.Sprint(i)).Broadcast(t.Context(), "host", make([]byte, 1<<20)))
		}
	}
	require.Equal(t, []chatroom.Room{s.Room(""), s.Room("2"), s.Room("3")}, s.Rooms())
	for range 25 {
		require.NoError(t, s.Broadcast(t.Context(), "host", make([]byte, 1<<20)))
	}
	require.Equal(t, []chatroom.Room{s.Room(""), s.Room("3")}, s.Rooms())
}

// What nobody is owed is not kept, also in a room that members over sockets have left.
func TestMemoryOfARoomWithoutASweep(t *testing.T) {
	for _, others := range []string{"nobody", "tls"} {
		t.Run(others, func(t *testing.T) {
			l := listenTCP(t)
			s := newBareServer(t, l)
			alice := joinBare(t, l, "alice")
			waitForMembers(t, s, 1)
			require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hello")))
			_, err := chatroom.ReadFrame(alice, -1)
			require.NoError(t, err)
			require.NoError(t, alice.Close())
			ctx := testContext(t)
			for s.Stats().Members > 0 {
				require.NoError(t, ctx.Err())
				runtime.Gosched()
			}
			if others == "tls" {
				server, client := tlsConfigs()
				near, far := net.Pipe()
				go func() { _ = s.ServeConn(context.Background(), tls.Server(far, server)) }()
				config := client.Clone()
				config.ServerName = "127.0.0.1"
				c, err := chatroom.NewConn(ctx, tls.Client(near, config), "bob")
				require.NoError(t, err)
				t.Cleanup(func() { _ = c.Close() })
				go func() {
					for range c.Messages(ctx) {
					}
				}()
				waitForMembers(t, s, 1)
			}
			before := heap()
			for range 100 {
				require.NoError(t, s.Broadcast(ctx, "host", make([]byte, 1<<20)))
			}
			require.NoError(t, s.Flush(ctx))
			assert.Less(t, heap()-before, int64(20<<20))
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

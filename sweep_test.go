//go:build unix

package chatroom_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// systemNetworks are those whose connections are swept.
var systemNetworks = []string{"tcp", "unix"}

func listenSystem(t testing.TB, network string) net.Listener {
	t.Helper()
	if network == "tcp" {
		return listenTCP(t)
	}
	l, err := net.Listen(network, filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	return l
}

// A room so large that several goroutines sweep it gives each member all of one
// sequence but the member's own messages.
func TestSweepOfALargeRoom(t *testing.T) {
	const readers, senders, messages = 600, 3, 50
	for _, network := range systemNetworks {
		t.Run(network, func(t *testing.T) {
			l := listenSystem(t, network)
			s := newBareServer(t, l)
			conns := make([]net.Conn, readers+senders)
			for i := range conns {
				conns[i] = joinBare(t, l, fmt.Sprintf("member %3d", i))
			}
			waitForMembers(t, s, len(conns))

			var all sync.WaitGroup
			streams := make([][]byte, readers)
			size := senders * messages * len(message("member 600", "message 0-00"))
			for i := range streams {
				all.Go(func() {
					streams[i] = make([]byte, size)
					_, err := io.ReadFull(conns[i], streams[i])
					assert.NoError(t, err)
				})
			}
			for i, nc := range conns[readers:] {
				all.Go(func() {
					for n := range messages {
						_, err := nc.Write(chatroom.AppendFrame(nil, fmt.Appendf(nil, "message %d-%02d", i, n)))
						assert.NoError(t, err)
					}
				})
			}
			all.Wait()
			for i := range streams {
				require.Equal(t, string(streams[0]), string(streams[i]), "member %d", i)
			}
			for i, nc := range conns[readers:] {
				own := fmt.Sprintf("member %3d", readers+i)
				want := withoutPairsOf(t, streams[0], own)
				got := make([]byte, len(want))
				_, err := io.ReadFull(nc, got)
				require.NoError(t, err)
				require.Equal(t, string(want), string(got), "sender %d", i)
			}
		})
	}
}

// Members whose sockets are full are written to apart from the sweep, which goes
// on without them; when they read again they have missed nothing, and are swept
// again.
func TestSweepGoesOnWithoutTheStalled(t *testing.T) {
	const stalled, reading, messages = 3, 5, 100
	body := bytes.Repeat([]byte{'x'}, 100_000)
	for _, network := range systemNetworks {
		t.Run(network, func(t *testing.T) {
			l := listenSystem(t, network)
			s := newBareServer(t, l)
			conns := make([]net.Conn, stalled+reading)
			for i := range conns {
				conns[i] = joinBare(t, l, fmt.Sprint(i))
			}
			waitForMembers(t, s, len(conns))
			want := bytes.Repeat(message("host", string(body)), messages)
			read := func(conns []net.Conn, want []byte) {
				var all sync.WaitGroup
				for _, nc := range conns {
					all.Go(func() {
						got := make([]byte, len(want))
						_, err := io.ReadFull(nc, got)
						assert.NoError(t, err)
						assert.True(t, bytes.Equal(want, got))
					})
				}
				all.Wait()
			}
			for range messages {
				require.NoError(t, s.Broadcast(context.Background(), "host", body))
			}
			read(conns[stalled:], want)
			assert.NotZero(t, s.Stats().Backlog)
			read(conns[:stalled], want)
			require.NoError(t, s.Flush(testContext(t)))
			for range 10 {
				require.NoError(t, s.Broadcast(context.Background(), "host", []byte("again")))
				read(conns, message("host", "again"))
			}
			assert.Zero(t, s.Stats().Leaves.SlowConsumer)
		})
	}
}

// The system tells of a reset once, and to a write as well as to a read: it is
// told as a reset either way, and not as the clean goodbye that the read then
// looks like.
func TestResetMetByAWrite(t *testing.T) {
	const members = 300
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"swept":   func(l net.Listener) net.Listener { return l },
		"written": func(l net.Listener) net.Listener { return wrappingListener{l} },
	} {
		t.Run(name, func(t *testing.T) {
			reasons := make(chan error, members)
			l := wrap(listenTCP(t))
			s := newBareServer(t, l, chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { reasons <- reason }))
			stop := make(chan struct{})
			var talking sync.WaitGroup
			t.Cleanup(func() {
				close(stop)
				talking.Wait()
			})
			talking.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						assert.NoError(t, s.Broadcast(context.Background(), "host", []byte("hello")))
					}
				}
			})
			for range members {
				nc := joinBare(t, l, "goner")
				_, err := io.ReadFull(nc, make([]byte, 10)) // it is a member
				require.NoError(t, err)
				require.NoError(t, chatroomtest.Reset(nc))
			}
			for i := range members {
				require.Error(t, receive(t, reasons, "a leave"), "the leave of member %d", i)
			}
		})
	}
}

// withoutPairsOf returns a stream of pairs of frames without those of one name.
func withoutPairsOf(t testing.TB, stream []byte, name string) []byte {
	t.Helper()
	var rest []byte
	for in := bytes.NewReader(stream); in.Len() > 0; {
		from, err := chatroom.ReadFrame(in, -1)
		require.NoError(t, err)
		body, err := chatroom.ReadFrame(in, -1)
		require.NoError(t, err)
		if string(from) != name {
			rest = append(rest, message(string(from), string(body))...)
		}
	}
	return rest
}

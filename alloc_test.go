//go:build unix && !race

package chatroom_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A message takes no memory but its share of a log chunk, from its reading to
// its last delivery, one at a time or many, with an order and without.
func TestNoAllocationPerMessage(t *testing.T) {
	for _, tr := range transports {
		if tr.name == "tls" {
			continue // it has allocations of its own
		}
		t.Run(tr.name, func(t *testing.T) { testNoAllocationPerMessage(t, tr) })
		t.Run(tr.name+" with an order", func(t *testing.T) {
			testNoAllocationPerMessage(t, tr, chatroom.WithOrder(new(identityOrder)))
		})
	}
}

func testNoAllocationPerMessage(t *testing.T, tr transport, opts ...chatroom.ServerOption) {
	l, dial := tr.listen(t)
	s := newBareServer(t, l, opts...)
	conns := make([]net.Conn, 8)
	for i := range conns {
		nc, err := dial(t.Context(), l.Addr().Network(), l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = nc.Close() })
		_, err = nc.Write(chatroom.AppendFrame(nil, []byte("n")))
		require.NoError(t, err)
		conns[i] = nc
	}
	waitForMembers(t, s, len(conns))
	out := chatroom.AppendFrame(nil, make([]byte, 100))
	in := make([]byte, len(message("n", string(make([]byte, 100)))))
	send := func() {
		_, err := conns[0].Write(out)
		require.NoError(t, err)
		for _, nc := range conns[1:] {
			_, err := io.ReadFull(nc, in)
			require.NoError(t, err)
		}
	}
	for range 1000 {
		send() // to warm up
	}
	assert.Less(t, testing.AllocsPerRun(2000, send), 1.0)
}

// Nor does what an order delivers.
func TestNoAllocationPerBatch(t *testing.T) {
	l := listenTCP(t)
	s := newBareServer(t, l, chatroom.WithOrder(new(identityOrder)), chatroom.WithHistory(10))
	var reading sync.WaitGroup
	defer reading.Wait()
	for range 4 {
		nc := joinBare(t, l, "n")
		defer nc.Close()
		reading.Go(func() { _, _ = io.Copy(io.Discard, nc) })
	}
	waitForMembers(t, s, 4)
	one, all := batch("zoe", "hello"), batch("zoe", "hello")
	one.Sender, one.Except, all.All = 1, []uint64{2, 3}, true
	for _, own := range []bool{false, true} {
		deliver := func() { require.NoError(t, s.Deliver(t.Context(), own, one, one, all)) }
		for range 10_000 {
			deliver() // to warm up
		}
		assert.Less(t, testing.AllocsPerRun(2000, deliver), 1.0)
	}
}

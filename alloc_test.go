//go:build unix && !race

package chatroom_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A message takes no memory but its share of a log chunk, from its reading to
// its last delivery, one at a time or many.
func TestNoAllocationPerMessage(t *testing.T) {
	for _, tr := range transports {
		if tr.name == "tls" {
			continue // it has allocations of its own
		}
		t.Run(tr.name, func(t *testing.T) {
			l, dial := tr.listen(t)
			s := newBareServer(t, l)
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
		})
	}
}

package wsroom

import (
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

var _ transport.Framed = (*conn)(nil)

// A server's connection over a socket joins the sweep, and no other does.
func TestPolled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	tcp, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer tcp.Close()
	pipe, far := net.Pipe()
	defer pipe.Close()
	defer far.Close()
	assert.True(t, transport.New(newConn(tcp, false, nil).asNetConn(), 0).Polled())
	assert.False(t, transport.New(newConn(tcp, true, nil).asNetConn(), 0).Polled())
	assert.False(t, transport.New(newConn(pipe, false, nil).asNetConn(), 0).Polled())
}

// Runs become one message, whose bytes are their own. A message that was cut goes on with the
// bytes that come next.
func TestWriteFrames(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := newConn(near, false, nil)
	runs := [][]byte{[]byte("hello "), []byte("world")}
	var wire []byte
	takes := 5 // bytes that the socket takes
	write := func(list [][]byte) (n int, err error) {
		assert.LessOrEqual(t, len(list), len(runs)+1)
		assert.Same(t, &runs[len(runs)-1][0], &list[len(list)-1][0], "no copy")
		for _, b := range list {
			k := min(len(b), takes-n)
			wire = append(wire, b[:k]...)
			n += k
		}
		takes -= n
		if n == 0 {
			return 0, transport.ErrWouldBlock
		}
		return n, nil
	}
	n, err := c.WriteFrames(runs, false, write)
	require.NoError(t, err)
	assert.Equal(t, 3, n, "a header of two bytes, and a part")
	n, err = c.WriteFrames(runs[1:], false, func([][]byte) (int, error) { return 0, transport.ErrWouldBlock })
	require.Equal(t, transport.ErrWouldBlock, err)
	assert.Zero(t, n)

	runs = [][]byte{[]byte("lo "), []byte("world"), []byte(", and more")}
	n, err = c.WriteFrames(runs[:2], false, func(list [][]byte) (int, error) {
		runs := runs[:2]
		assert.Same(t, &runs[1][0], &list[len(list)-1][0])
		k := 0
		for _, b := range list {
			wire = append(wire, b...)
			k += len(b)
		}
		return k, nil
	})
	require.NoError(t, err)
	assert.Equal(t, 8, n)
	assert.Equal(t, string(ws.MustCompileFrame(ws.NewBinaryFrame([]byte("hello world")))), string(wire))
}

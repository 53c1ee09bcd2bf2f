package wsroom

import (
	"bytes"
	"net"
	"slices"
	"strconv"
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

// A below is a socket that takes what the function takes.
type below func(runs [][]byte) (int, error)

func (b below) TryWrite(runs [][]byte) (int, error)   { return b(runs) }
func (b below) AwaitWrite(runs [][]byte) (int, error) { return b(runs) }

// Runs become one message, whose bytes are their own. A message that was cut goes on with the
// bytes that come next.
func TestWriteFrames(t *testing.T) {
	for _, size := range []int{5, 100, 1 << 16} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			c := newConn(near, false, nil)
			stream := bytes.Repeat([]byte("chatroom"), size)[:4*size]
			runs := [][]byte{stream[:size], stream[size : 2*size], stream[2*size : 3*size], stream[3*size:]}
			var wire []byte
			takes := size // bytes that the socket takes
			last := 1     // of runs
			sock := below(func(list [][]byte) (n int, err error) {
				end := list[len(list)-1]
				assert.Same(t, &runs[last][size-1], &end[len(end)-1], "no copy")
				for _, b := range list {
					k := min(len(b), takes-n)
					wire = append(wire, b[:k]...)
					n += k
				}
				if n == 0 {
					return 0, transport.ErrWouldBlock
				}
				return n, nil
			})
			n, err := c.WriteFrames(runs[:2], false, sock)
			require.NoError(t, err)
			require.Less(t, n, size, "there is a header before it")
			takes = 0
			k, err := c.WriteFrames([][]byte{runs[0][n:], runs[1]}, false, sock)
			require.Equal(t, transport.ErrWouldBlock, err)
			assert.Zero(t, k)

			takes, last = 8*size, 3
			onlyTwo := below(func(list [][]byte) (int, error) {
				last = 1
				return sock(list)
			})
			k, err = c.WriteFrames([][]byte{runs[0][n:], runs[1], runs[2], runs[3]}, true, onlyTwo)
			require.NoError(t, err)
			assert.Equal(t, 2*size, n+k, "one write, if it may wait")
			last = 3
			k, err = c.WriteFrames(runs[2:], false, sock)
			require.NoError(t, err)
			assert.Equal(t, 2*size, k)
			var want []byte
			for half := range slices.Chunk(stream, 2*size) {
				want = append(want, ws.MustCompileFrame(ws.NewBinaryFrame(half))...)
			}
			assert.Equal(t, string(want), string(wire))
		})
	}
}

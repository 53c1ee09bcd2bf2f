//go:build unix

package transport_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

// A dotted connection has a frame's header, a dot, before each write, and takes the dots out of
// what it reads.
type dotted struct {
	net.Conn
	early []byte
}

func (c *dotted) Below() net.Conn  { return c.Conn }
func (c *dotted) BeginRead() error { return nil }
func (c *dotted) EndRead()         {}

func (c *dotted) Early(p []byte) int {
	n := copy(p, c.early)
	c.early = c.early[n:]
	return n
}

func (c *dotted) Unframe(p []byte, err error) (int, error) {
	return copy(p, bytes.ReplaceAll(p, []byte("."), nil)), err
}

func (c *dotted) WriteFrames(runs [][]byte, waits bool, below interface {
	TryWrite(runs [][]byte) (int, error)
	AwaitWrite(runs [][]byte) (int, error)
},
) (int, error) {
	write := below.TryWrite
	if waits {
		write = below.AwaitWrite
	}
	n, err := write(append([][]byte{[]byte(".")}, runs...))
	return n - 1, err
}

// What is read early comes first, and frames without anything in them are passed over.
func TestFramedRead(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(&dotted{server, []byte("..early.")}, time.Minute)
		require.True(t, c.Polled())
		b := new(testBuffer)
		n, err := c.Read(b)
		require.NoError(t, err)
		assert.Equal(t, "early", string(b.p[:n]))
		_, err = io.WriteString(client, "...")
		require.NoError(t, err)
		read := make(chan error, 1)
		go func() {
			var err error
			n, err = c.Read(b)
			read <- err
		}()
		_, err = io.WriteString(client, "late.")
		require.NoError(t, err)
		require.NoError(t, <-read)
		assert.Equal(t, "late", string(b.p[:n]))
		c.StopReading()
		_, err = c.Read(b)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, client.Close())
	})
}

// A header goes out with what follows it, however long that is.
func TestFramedWrite(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(&dotted{Conn: server}, time.Minute)
		long := bytes.Repeat([]byte("x"), 64<<10)
		for _, write := range []func([][]byte) (int, error){c.TryWrite, c.Write} {
			n, err := write([][]byte{long, long})
			require.NoError(t, err)
			assert.Positive(t, n)
			got := make([]byte, n+1)
			_, err = io.ReadFull(client, got)
			require.NoError(t, err)
			assert.Equal(t, byte('.'), got[0])
			assert.True(t, bytes.Equal(got[1:], append(long, long...)[:n]))
		}
	})
}

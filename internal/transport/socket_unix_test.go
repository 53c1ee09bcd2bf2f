//go:build unix

package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

// systemNetworks are those whose connections are polled.
var systemNetworks = []string{"tcp", "unix"}

// newSockets returns two ends of a connection of the system's. What blocks for
// long fails.
func newSockets(t testing.TB, network string) (server, client net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network != "tcp" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	defer l.Close()
	client, err = new(net.Dialer).DialContext(context.Background(), network, l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	require.NoError(t, client.SetDeadline(time.Now().Add(20*time.Second)))
	return server, client
}

// A wrap puts a server's end into something, and a client's end into its
// counterpart.
type wrap func(t *testing.T, server, client net.Conn) (net.Conn, net.Conn)

// wraps are what connections of the system's come in.
var wraps = map[string]wrap{
	"bare": func(_ *testing.T, server, client net.Conn) (net.Conn, net.Conn) { return server, client },
	"wrapped": func(_ *testing.T, server, client net.Conn) (net.Conn, net.Conn) {
		return struct{ net.Conn }{server}, client
	},
	"tls": withTLS,
}

func overWraps(t *testing.T, test func(t *testing.T, c transport.Conn, client net.Conn)) {
	t.Parallel()
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := newSockets(t, "tcp")
			server, client = wrap(t, server, client)
			test(t, transport.New(server, time.Minute), client)
		})
	}
}

func overNetworks(t *testing.T, test func(t *testing.T, server, client net.Conn)) {
	for _, network := range systemNetworks {
		t.Run(network, func(t *testing.T) {
			server, client := newSockets(t, network)
			test(t, server, client)
		})
	}
}

// fill writes to c until it takes no more, and returns how much that was.
func fill(t *testing.T, c transport.Conn) int {
	t.Helper()
	total := 0
	p := [][]byte{make([]byte, 64<<10), make([]byte, 1000)}
	for full := 0; full < 100; { // the peer's end may take its time for what is under way
		n, err := c.TryWrite(p)
		require.NoError(t, err)
		total += n
		if n == 0 {
			full++
			runtime.Gosched()
		} else {
			full = 0
		}
	}
	return total
}

func TestKindsOfSockets(t *testing.T) {
	tcp, _ := newSockets(t, "tcp")
	unix, _ := newSockets(t, "unix")
	assertKind(t, "polledSocket", transport.New(tcp, 0))
	assertKind(t, "polledSocket", transport.New(unix, 0))
	assertKind(t, "stream", transport.New(struct{ *net.TCPConn }{tcp.(*net.TCPConn)}, 0))
	assertKind(t, "stream", transport.New(struct{ *net.UnixConn }{unix.(*net.UnixConn)}, 0))
	assertKind(t, "stream", transport.New(struct{ net.Conn }{tcp}, 0))
	assertKind(t, "layered", transport.New(tls.Server(tcp, nil), 0))
	assertKind(t, "layered", transport.New(tls.Server(unix, nil), 0))
	assertKind(t, "stream", transport.New(new(net.TCPConn), 0)) // which was never connected
}

// A socket takes a bounded number of bytes that its peer does not, and then
// nothing, which is no error.
func TestTryWriteIsBounded(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(server, time.Minute)
		total := fill(t, c)
		assert.Positive(t, total)
		assert.LessOrEqual(t, total, 600<<10)

		// All of it arrives, and there is room again.
		_, err := io.ReadFull(client, make([]byte, total))
		require.NoError(t, err)
		n, err := c.Write(runs("hello", " ", "again"))
		require.NoError(t, err)
		assert.Equal(t, len("hello again"), n)
		p := make([]byte, n)
		_, err = io.ReadFull(client, p)
		require.NoError(t, err)
		assert.Equal(t, "hello again", string(p))
	})
}

// More runs than the system takes at once are written in order.
func TestWriteManyRuns(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(server, time.Minute)
		var all []byte
		var many [][]byte
		for i := range 200 {
			run := bytes.Repeat([]byte{byte(i)}, 1+i*37%1000)
			many, all = append(many, run), append(all, run...)
		}
		got, done := make([]byte, len(all)), make(chan error, 1)
		go func() {
			_, err := io.ReadFull(client, got)
			done <- err
		}()
		for len(many) > 0 {
			n, err := c.Write(many)
			require.NoError(t, err)
			require.NotZero(t, n)
			many = behind(many, n)
		}
		require.NoError(t, <-done)
		assert.True(t, bytes.Equal(all, got))
	})
}

// A write returns as soon as a part of it is taken.
func TestWriteReturnsAfterAPart(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(server, time.Minute)
		fill(t, c)
		go func() { _, _ = io.CopyN(io.Discard, client, 256<<10) }()
		n, err := c.Write([][]byte{make([]byte, 8<<20)})
		require.NoError(t, err)
		assert.Positive(t, n)
		assert.Less(t, n, 8<<20)
	})
}

// A peer that takes nothing is told of as such, also where the deadline is that of
// an earlier write.
func TestSocketStalls(t *testing.T) {
	const timeout = 30 * time.Millisecond
	overNetworks(t, func(t *testing.T, server, _ net.Conn) {
		c := transport.New(server, timeout)
		_, err := c.Write(runs("hello"))
		require.NoError(t, err)
		fill(t, c)
		for range 2 {
			_, err := c.Write(runs("again"))
			require.ErrorIs(t, err, transport.ErrStalled)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		c.ClearWriteDeadline()
		n, err := c.TryWrite(runs("again"))
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

// A polled socket is read when there is something to read, and holds no buffer
// until then.
func TestSocketRead(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(server, time.Minute)
		for _, text := range []string{"hello", "again"} {
			b := newTestBuffer()
			done := make(chan error, 1)
			n := 0
			go func() {
				var err error
				n, err = c.Read(b)
				done <- err
			}()
			<-b.parked
			_, err := client.Write([]byte(text))
			require.NoError(t, err)
			require.NoError(t, <-done)
			assert.Equal(t, text, string(b.p[:n]))
			b.assertParked(t)
		}
		require.NoError(t, client.Close())
		require.ErrorIs(t, (<-read(c)).err, io.EOF)
	})
}

// What goes wrong looks as if the connection itself had told.
func TestSocketErrors(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, _ net.Conn) {
		c := transport.New(server, time.Minute)
		assertOp := func(op string, err error) {
			t.Helper()
			var opErr *net.OpError
			require.ErrorAs(t, err, &opErr)
			assert.Equal(t, op, opErr.Op)
			assert.Equal(t, server.LocalAddr(), opErr.Source)
			assert.Equal(t, server.RemoteAddr(), opErr.Addr)
		}
		c.SetReadDeadline(time.Unix(1, 0))
		_, err := c.Read(newTestBuffer())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assertOp("read", err)
		require.NoError(t, server.(interface{ CloseWrite() error }).CloseWrite())
		_, err = c.TryWrite(runs("hello"))
		require.ErrorIs(t, err, syscall.EPIPE)
		assertOp("write", err)
		_, err = c.Write(runs("hello"))
		require.ErrorIs(t, err, syscall.EPIPE)
		c.Close()
		_, err = c.Write(runs("hello"))
		require.ErrorIs(t, err, net.ErrClosed)
		assertOp("write", err)
		_, err = c.Read(newTestBuffer())
		require.ErrorIs(t, err, net.ErrClosed)
		assertOp("read", err)
	})
}

func TestStopReadingOfSockets(t *testing.T) {
	overWraps(t, func(t *testing.T, c transport.Conn, client net.Conn) {
		got := read(c)
		var both sync.WaitGroup
		both.Go(func() { c.SetReadDeadline(time.Now().Add(time.Hour)) })
		both.Go(c.StopReading)
		require.ErrorIs(t, (<-got).err, os.ErrDeadlineExceeded)
		both.Wait()
		c.SetReadDeadline(time.Time{})
		_, err := client.Write([]byte("hello"))
		require.NoError(t, err)
		require.ErrorIs(t, (<-read(c)).err, os.ErrDeadlineExceeded)
	})
}

// After a goodbye the peer gets all that was written and a clean end, although it
// has sent more than was read.
func TestGoodbyeToAPeerThatSends(t *testing.T) {
	overWraps(t, func(t *testing.T, c transport.Conn, client net.Conn) {
		_, err := client.Write(make([]byte, 64<<10))
		require.NoError(t, err)
		const size = 100_000
		for left := size; left > 0; {
			n, err := c.Write([][]byte{make([]byte, left)})
			require.NoError(t, err)
			left -= n
		}
		got := make(chan error, 1)
		go func() {
			p, err := io.ReadAll(client)
			if err == nil && len(p) != size {
				err = errors.New("not all of it")
			}
			got <- err
			_ = client.Close()
		}()
		c.StopReading()
		c.Goodbye()
		c.Close()
		require.NoError(t, <-got)
	})
}

// The system tells of a reset once. If a write meets it, a read sees nothing but
// an end.
func TestResetMetByAWrite(t *testing.T) {
	overWraps(t, func(t *testing.T, c transport.Conn, client net.Conn) {
		require.NoError(t, c.WriteReset())
		below := client
		if l, ok := client.(*tls.Conn); ok {
			below = l.NetConn()
		}
		require.NoError(t, below.(*net.TCPConn).SetLinger(0))
		require.NoError(t, below.Close())
		var err error
		for err == nil {
			_, err = c.Write(runs("hello"))
		}
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.ErrorIs(t, c.WriteReset(), syscall.ECONNRESET)
		require.ErrorIs(t, c.WriteReset(), syscall.ECONNRESET, "as often as asked")
	})
}

// Abandon drops what is unsent, which the peer finds out, and Close does not.
func TestAbandonSockets(t *testing.T) {
	server, client := newSockets(t, "tcp")
	c := transport.New(server, time.Minute)
	fill(t, c)
	c.Abandon()
	_, err := io.Copy(io.Discard, client)
	require.ErrorIs(t, err, syscall.ECONNRESET)

	server, client = newSockets(t, "tcp")
	c = transport.New(server, time.Minute)
	total := fill(t, c)
	c.Close()
	n, err := io.Copy(io.Discard, client)
	require.NoError(t, err)
	assert.Equal(t, int64(total), n)

	server, client = newSockets(t, "unix")
	transport.New(server, time.Minute).Abandon()
	_, err = io.Copy(io.Discard, client)
	require.NoError(t, err)
}

// The race detector sees that what was done before bytes were sent was done before
// they were read, as it does with the connections themselves.
func TestSocketsOrderWhatIsDone(t *testing.T) {
	overNetworks(t, func(t *testing.T, server, client net.Conn) {
		c := transport.New(server, time.Minute)
		var said, heard string
		got := make(chan string)
		go func() {
			said = "before writing"
			_, _ = client.Write([]byte("hello"))
			_, _ = client.Read(make([]byte, 10))
			got <- heard
		}()
		_, err := c.Read(newTestBuffer())
		require.NoError(t, err)
		assert.Equal(t, "before writing", said)
		heard = "before answering"
		_, err = c.Write(runs("answer"))
		require.NoError(t, err)
		assert.Equal(t, "before answering", <-got)
	})
}

// A program that has had the descriptor of a socket, as to ask for its peer's
// credentials, has made the socket block. Nothing waits in the system for that. Made
// to block later it may, but where each call says that it must not.
func TestSocketsThatWereMadeToBlock(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			for _, when := range blockWhen {
				near, far := newSockets(t, network)
				block := func() {
					f, err := near.(interface{ File() (*os.File, error) }).File()
					require.NoError(t, err)
					_ = f.Fd()
					require.NoError(t, f.Close())
				}
				if when == "before" {
					block()
				}
				c := transport.New(near, 0)
				if when == "after" {
					block()
				}
				n, err := c.TryWrite([][]byte{make([]byte, 64<<20)})
				require.NoError(t, err)
				require.Less(t, n, 64<<20)
				got := read(c)
				_, err = far.Write([]byte("hello"))
				require.NoError(t, err)
				require.Equal(t, "hello", (<-got).text)
			}
		})
	}
}

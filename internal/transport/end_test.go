package transport_test

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

// A halfConn can end its writing side, which writes a word to the peer.
type halfConn struct {
	net.Conn
	err error
}

func (c halfConn) CloseWrite() error {
	if c.err == nil {
		_, _ = c.Write([]byte("end"))
	}
	return c.err
}

// A netConn is of that network; of none if it is empty.
type netConn struct {
	net.Conn
	network string
}

func (c netConn) RemoteAddr() net.Addr {
	if c.network == "" {
		return nil
	}
	return addr(c.network)
}

func TestGoodbye(t *testing.T) {
	const ms = time.Millisecond
	half := func(nc net.Conn) net.Conn { return halfConn{Conn: nc} }
	network := func(name string) func(net.Conn) net.Conn {
		return func(nc net.Conn) net.Conn { return netConn{nc, name} }
	}
	tests := []struct {
		name string
		wrap func(net.Conn) net.Conn
		peer func(t *testing.T, c transport.Conn, far net.Conn)
		want time.Duration
	}{
		{"the peer stays", half, func(*testing.T, transport.Conn, net.Conn) {}, graceTimeout},
		{"the peer goes", half, func(_ *testing.T, _ transport.Conn, far net.Conn) {
			time.Sleep(100 * ms)
			_ = far.Close()
		}, 100 * ms},
		{"the peer sends", half, func(t *testing.T, _ transport.Conn, far net.Conn) {
			for range 3 {
				time.Sleep(100 * ms)
				_, err := far.Write([]byte("what is dropped"))
				assert.NoError(t, err)
			}
			_ = far.Close()
		}, 300 * ms},
		{"the peer sends for ever", half, func(_ *testing.T, _ transport.Conn, far net.Conn) {
			for {
				time.Sleep(ms / 3)
				if _, err := far.Write([]byte("what is dropped")); err != nil {
					return
				}
			}
		}, graceTimeout},
		{"reading is stopped late", half, func(_ *testing.T, c transport.Conn, far net.Conn) {
			time.Sleep(100 * ms)
			c.StopReading()
			time.Sleep(100 * ms)
			c.StopReading()
			time.Sleep(100 * ms)
			_ = far.Close()
		}, 300 * ms},
		{"the connection is closed", half, func(_ *testing.T, c transport.Conn, _ net.Conn) {
			time.Sleep(100 * ms)
			c.Close()
		}, 100 * ms},
		{
			"it cannot end its writing side", func(nc net.Conn) net.Conn { return halfConn{nc, errors.New("not now")} },
			func(*testing.T, transport.Conn, net.Conn) {}, 0,
		},
		{"TCP in disguise", network("tcp"), func(*testing.T, transport.Conn, net.Conn) {}, graceTimeout},
		{"a Unix socket in disguise", network("unix"), func(*testing.T, transport.Conn, net.Conn) {}, graceTimeout},
		{"some network", network("pigeon"), func(*testing.T, transport.Conn, net.Conn) {}, 0},
		{"no network", network(""), func(*testing.T, transport.Conn, net.Conn) {}, 0},
		{"a layer", func(nc net.Conn) net.Conn { return fakeLayer{netConn{nc, "tcp"}} }, func(*testing.T, transport.Conn, net.Conn) {}, graceTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := newPipe(t)
				nc := tt.wrap(near)
				c := transport.New(nc, time.Minute)
				defer c.Close()
				c.StopReading()
				h, halves := nc.(halfConn)
				halves = halves && h.err == nil
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if halves {
						p := &pipePeer{Conn: far}
						p.take(3)
						assert.Equal(t, "end", p.taken())
					}
					tt.peer(t, c, far)
				}()
				start := time.Now()
				c.Goodbye()
				assertTook(t, tt.want, start)
				c.Close()
				<-ended
			})
		})
	}
}

// A stuckConn has its writes wait until the test says how they end.
type stuckConn struct {
	net.Conn
	end chan error
}

func (c stuckConn) Write([]byte) (int, error) { return 0, <-c.end }

// The reset that a write has met is told, for which one that may be about to
// meet it is waited for, for a moment.
func TestWriteReset(t *testing.T) {
	const ms = time.Millisecond
	reset := &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	tests := []struct {
		name    string
		network string
		end     error         // of the write
		at      time.Duration // when it ends: never, if zero; before WriteReset, if negative
		want    error
		after   time.Duration
	}{
		{"nothing is met", "tcp", net.ErrClosed, -1, nil, 0},
		{"met before", "tcp", reset, -1, reset, 0},
		{"met soon", "tcp", reset, 100 * ms, reset, 100 * ms},
		{"met too late", "tcp", reset, 501 * ms, nil, graceTimeout},
		{"not met", "tcp", net.ErrClosed, 100 * ms, nil, 100 * ms},
		{"not known", "tcp", nil, 0, nil, graceTimeout},
		{"met before, elsewhere", "unix", reset, -1, reset, 0},
		{"not waited for elsewhere", "unix", reset, 100 * ms, nil, 0},
		{"not waited for where it is not known", "", reset, 100 * ms, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, _ := newPipe(t)
				nc := stuckConn{netConn{near, tt.network}, make(chan error, 1)}
				c := transport.New(nc, 0)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = c.Write(runs("hello"))
				}()
				end := func() { nc.end <- tt.end }
				if tt.at < 0 {
					end()
				} else if tt.at > 0 {
					time.AfterFunc(tt.at, end)
				}
				synctest.Wait()
				start := time.Now()
				err := c.WriteReset()
				assert.Equal(t, tt.want, err)
				assertTook(t, tt.after, start)
				if tt.at == 0 {
					end()
				}
				<-ended
			})
		})
	}
}

// A lingeringConn notes whether what is unsent was dropped, and in what order.
type lingeringConn struct {
	net.Conn
	linger, closed *atomic.Int32 // 1 and 2 in the order of the calls
	calls          *atomic.Int32
}

func newLingeringConn(nc net.Conn) lingeringConn {
	return lingeringConn{nc, new(atomic.Int32), new(atomic.Int32), new(atomic.Int32)}
}

func (c lingeringConn) SetLinger(sec int) error {
	if sec == 0 {
		c.linger.Store(c.calls.Add(1))
	}
	return errors.ErrUnsupported // which is nobody's concern
}

func (c lingeringConn) Close() error {
	c.closed.CompareAndSwap(0, c.calls.Add(1))
	return c.Conn.Close()
}

func TestAbandon(t *testing.T) {
	t.Run("layered", func(t *testing.T) {
		near, _ := newPipe(t)
		below := newLingeringConn(near)
		transport.New(fakeLayer{fakeLayer{below}}, 0).Abandon()
		assert.Equal(t, int32(1), below.linger.Load())
		assert.Equal(t, int32(2), below.closed.Load())
	})
	t.Run("layered, closed", func(t *testing.T) {
		near, _ := newPipe(t)
		below := newLingeringConn(near)
		transport.New(fakeLayer{below}, 0).Close()
		assert.Zero(t, below.linger.Load())
		assert.Equal(t, int32(1), below.closed.Load())
	})
	t.Run("layered on what does not linger", func(t *testing.T) {
		near, far := newPipe(t)
		transport.New(fakeLayer{near}, 0).Abandon()
		_, err := far.Read(make([]byte, 1))
		require.Error(t, err)
	})
	t.Run("polled", func(t *testing.T) {
		for _, abandoned := range []bool{true, false} {
			s := newMemSocket()
			if c := transport.New(s, 0); abandoned {
				c.Abandon()
			} else {
				c.Close()
			}
			assert.Equal(t, abandoned, s.lost)
			assert.True(t, s.closed)
		}
	})
}

// Abandon does not wait until a layer has said goodbye to a peer that takes nothing.
func TestAbandonTLSThatIsStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t)
		server, _ := withTLS(t, near, far)
		c := transport.New(server, time.Minute)
		_, err := c.Write(runs("hello"))
		require.ErrorIs(t, err, transport.ErrStalled)
		start := time.Now()
		c.Abandon()
		assertTook(t, 0, start)
	})
}

package transport_test

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

// A rekeyingConn does what TLS does for a peer that asks for new keys and does
// not read: once told to, a read writes, under a lock that writing and closing
// need as well.
type rekeyingConn struct {
	net.Conn
	rekey chan struct{}
	out   chan struct{} // holds a token while nobody writes
}

func newRekeyingConn(nc net.Conn) *rekeyingConn {
	c := &rekeyingConn{Conn: nc, rekey: make(chan struct{}, 1), out: make(chan struct{}, 1)}
	c.out <- struct{}{}
	return c
}

func (c *rekeyingConn) NetConn() net.Conn { return c.Conn }

func (c *rekeyingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		select {
		case <-c.rekey:
			if _, err = c.Write([]byte("new keys")); err != nil {
				n = 0
			}
		default:
		}
	}
	return n, err
}

func (c *rekeyingConn) Write(p []byte) (int, error) {
	<-c.out
	defer func() { c.out <- struct{}{} }()
	return c.Conn.Write(p)
}

func (c *rekeyingConn) Close() error {
	<-c.out
	defer func() { c.out <- struct{}{} }()
	return c.Conn.Close()
}

// readThatWrites returns a connection that is being read, the end of which takes
// nothing of what that read writes.
func readThatWrites(t *testing.T) (c transport.Conn, far net.Conn, got <-chan readResult) {
	near, far := newPipe(t)
	nc := newRekeyingConn(near)
	c = transport.New(nc, time.Minute)
	t.Cleanup(c.Close)
	nc.rekey <- struct{}{}
	got = read(c)
	_, err := far.Write([]byte("x"))
	require.NoError(t, err)
	synctest.Wait()
	return c, far, got
}

// A read that writes, and does not end when it should, is ended.
func TestReadThatWrites(t *testing.T) {
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	tests := []struct {
		name  string
		end   func(c transport.Conn)
		after time.Duration
	}{
		{"deadline", func(c transport.Conn) { c.SetReadDeadline(in(time.Minute)) }, time.Minute + graceTimeout},
		{"deadline that has passed", func(c transport.Conn) { c.SetReadDeadline(in(-time.Minute)) }, 0},
		{"later deadline", func(c transport.Conn) {
			c.SetReadDeadline(in(time.Second))
			time.Sleep(time.Second + graceTimeout - 1)
			c.SetReadDeadline(in(time.Second))
		}, 2*time.Second + 2*graceTimeout - 1},
		{"earlier deadline", func(c transport.Conn) {
			c.SetReadDeadline(in(time.Hour))
			time.Sleep(time.Second)
			c.SetReadDeadline(in(time.Second))
		}, 2*time.Second + graceTimeout},
		{"no deadline any more", func(c transport.Conn) {
			c.SetReadDeadline(in(time.Second))
			c.SetReadDeadline(time.Time{})
			time.Sleep(time.Hour)
			c.StopReading()
		}, time.Hour + graceTimeout},
		{"StopReading", transport.Conn.StopReading, graceTimeout},
		{"StopReading before a deadline", func(c transport.Conn) {
			c.SetReadDeadline(in(time.Hour))
			c.StopReading()
		}, graceTimeout},
		{"StopReading before there is to be no deadline", func(c transport.Conn) {
			c.StopReading()
			c.SetReadDeadline(time.Time{})
		}, graceTimeout},
		{"StopReading before a deadline is set", func(c transport.Conn) {
			c.StopReading()
			c.SetReadDeadline(in(time.Hour))
		}, graceTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, got := readThatWrites(t)
				start := time.Now()
				tt.end(c)
				r := <-got
				require.ErrorIs(t, r.err, os.ErrDeadlineExceeded)
				assertTook(t, tt.after, start)
			})
		})
	}
}

// A goodbye whose read writes takes no longer than any other.
func TestGoodbyeThatWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t)
		nc := newRekeyingConn(netConn{near, "tcp"})
		c := transport.New(nc, time.Minute)
		t.Cleanup(c.Close)
		c.StopReading()
		nc.rekey <- struct{}{}
		go func() { _, _ = far.Write([]byte("x")) }() // ends with near
		start := time.Now()
		c.Goodbye()
		assertTook(t, graceTimeout, start)
	})
}

// StopReading ends such a read also when a deadline is set at the same time.
func TestReadThatWritesBetweenTwo(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			c, _, got := readThatWrites(t)
			start := time.Now()
			go c.SetReadDeadline(start.Add(time.Hour))
			go c.StopReading()
			r := <-got
			require.ErrorIs(t, r.err, os.ErrDeadlineExceeded)
			assertTook(t, graceTimeout, start)
		})
	}
}

// A read that writes, and ends, is like any other, and what watched it does not
// end the next one.
func TestReadThatHasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far, got := readThatWrites(t)
		c.SetReadDeadline(time.Now().Add(time.Second))
		time.Sleep(time.Second + graceTimeout/2)
		(&pipePeer{Conn: far}).take(len("new keys"))
		r := <-got
		require.NoError(t, r.err)
		assert.Equal(t, "x", r.text)
		time.Sleep(time.Hour)

		c.SetReadDeadline(time.Time{})
		got = read(c)
		time.Sleep(time.Hour)
		_, err := far.Write([]byte("y"))
		require.NoError(t, err)
		r = <-got
		require.NoError(t, r.err)
		assert.Equal(t, "y", r.text)
	})
}

// Neither Close nor Abandon waits for a read that writes, and both end it.
func TestCloseDuringAReadThatWrites(t *testing.T) {
	for name, end := range map[string]func(transport.Conn){"Close": transport.Conn.Close, "Abandon": transport.Conn.Abandon} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, got := readThatWrites(t)
				start := time.Now()
				end(c)
				require.Error(t, (<-got).err)
				assertTook(t, 0, start)
			})
		})
	}
}

func TestRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, kind := range readableKinds(t) {
			c := transport.New(kind.nc, 0)
			got := read(c)
			synctest.Wait()
			kind.send("hello")
			r := <-got
			require.NoError(t, r.err, name)
			assert.Equal(t, "hello", r.text, name)

			start := time.Now()
			c.SetReadDeadline(start.Add(time.Minute))
			require.ErrorIs(t, (<-read(c)).err, os.ErrDeadlineExceeded, name)
			assertTook(t, time.Minute, start)

			c.SetReadDeadline(time.Time{})
			c.SetReadDeadline(start.Add(2 * time.Minute))
			require.ErrorIs(t, (<-read(c)).err, os.ErrDeadlineExceeded, name)
			assertTook(t, 2*time.Minute, start)

			c.SetReadDeadline(time.Time{})
			got = read(c)
			c.Close()
			require.Error(t, (<-got).err, name)
		}
	})
}

// readableKinds returns a connection of each kind, and how its peer sends.
func readableKinds(t *testing.T) map[string]struct {
	nc   net.Conn
	send func(string)
} {
	type kind = struct {
		nc   net.Conn
		send func(string)
	}
	write := func(nc net.Conn) func(string) { return func(text string) { _, _ = nc.Write([]byte(text)) } }
	near, far := newPipe(t)
	layerNear, layerFar := newPipe(t)
	s := newMemSocket()
	return map[string]kind{
		"stream":  {near, write(far)},
		"layered": {fakeLayer{layerNear}, write(layerFar)},
		"polled":  {s, s.send},
	}
}

func TestStopReading(t *testing.T) {
	tests := []struct {
		name string
		stop func(c transport.Conn)
	}{
		{"alone", transport.Conn.StopReading},
		{"before a deadline", func(c transport.Conn) {
			c.StopReading()
			c.SetReadDeadline(time.Now().Add(time.Hour))
		}},
		{"after a deadline", func(c transport.Conn) {
			c.SetReadDeadline(time.Now().Add(time.Hour))
			c.StopReading()
		}},
		{"twice, and no deadline", func(c transport.Conn) {
			c.StopReading()
			c.StopReading()
			c.SetReadDeadline(time.Time{})
		}},
		{"at the same time as a deadline", func(c transport.Conn) {
			go c.SetReadDeadline(time.Now().Add(time.Hour))
			go c.SetReadDeadline(time.Time{})
			go c.StopReading()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 {
				synctest.Test(t, func(t *testing.T) {
					for name, kind := range readableKinds(t) {
						c := transport.New(kind.nc, 0)
						got := read(c)
						synctest.Wait()
						start := time.Now()
						tt.stop(c)
						require.ErrorIs(t, (<-got).err, os.ErrDeadlineExceeded, name)
						for range 3 {
							require.ErrorIs(t, (<-read(c)).err, os.ErrDeadlineExceeded, name)
							c.SetReadDeadline(time.Now().Add(time.Hour))
						}
						assertTook(t, 0, start)
						c.Close()
					}
				})
			}
		})
	}
}

// A polled connection holds no buffer while there is nothing to read; any other
// has to, and says so.
func TestBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, kind := range readableKinds(t) {
			c := transport.New(kind.nc, 0)
			b := newTestBuffer()
			done := make(chan error)
			go func() {
				_, err := c.Read(b)
				done <- err
			}()
			synctest.Wait()
			kind.send("hello")
			require.NoError(t, <-done, name)
			if name == "polled" {
				b.assertParked(t)
			} else {
				assert.Equal(t, []string{"space"}, b.calls, name)
			}
			c.Close()
		}
	})
}

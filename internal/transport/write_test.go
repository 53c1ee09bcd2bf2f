package transport_test

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

// A peer is who takes what a test writes.
type peer interface {
	take(n int)
	taken() string
}

// A pipePeer is the other end of a net.Pipe.
type pipePeer struct {
	net.Conn
	mu  sync.Mutex // guards got
	got []byte
}

func (p *pipePeer) take(n int) {
	got := make([]byte, n)
	n, _ = io.ReadFull(p.Conn, got)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, got[:n]...)
}

func (p *pipePeer) taken() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.got)
}

// overKinds runs test in a bubble for each kind of connection, none of which
// takes anything until the peer does.
func overKinds(t *testing.T, test func(t *testing.T, c transport.Conn, p peer)) {
	overKindsWithin(t, time.Minute, test)
}

func overKindsWithin(t *testing.T, writeTimeout time.Duration, test func(t *testing.T, c transport.Conn, p peer)) {
	for name, connect := range map[string]func(t *testing.T) (net.Conn, peer){
		"stream": func(t *testing.T) (net.Conn, peer) { near, far := newPipe(t); return near, &pipePeer{Conn: far} },
		"layered": func(t *testing.T) (net.Conn, peer) {
			near, far := newPipe(t)
			return fakeLayer{near}, &pipePeer{Conn: far}
		},
		"polled": func(*testing.T) (net.Conn, peer) { s := newMemSocket(); return s, s },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, p := connect(t)
				c := transport.New(nc, writeTimeout)
				defer c.Close()
				test(t, c, p)
			})
		})
	}
}

func TestWriteStalls(t *testing.T) {
	overKinds(t, func(t *testing.T, c transport.Conn, _ peer) {
		for range 2 {
			start := time.Now()
			n, err := c.Write(runs("hello"))
			assert.Zero(t, n)
			require.ErrorIs(t, err, transport.ErrStalled)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.Contains(t, err.Error(), "timeout")
			assertTook(t, time.Minute, start)
		}
	})
}

// Zero is no limit.
func TestWriteWithoutTimeout(t *testing.T) {
	overKindsWithin(t, 0, func(t *testing.T, c transport.Conn, p peer) {
		start := time.Now()
		time.AfterFunc(1000*time.Hour, func() { p.take(5) })
		n, err := c.Write(runs("hello"))
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		c.ClearWriteDeadline()
		assertTook(t, 1000*time.Hour, start)
	})
}

// A peer may take its time for all of it, as long as it takes something within the
// timeout.
func TestProgressResetsTheTimeout(t *testing.T) {
	overKinds(t, func(t *testing.T, c transport.Conn, p peer) {
		const size, gap = 20, 50 * time.Second
		go func() {
			for range size {
				time.Sleep(gap)
				p.take(1)
			}
		}()
		start := time.Now()
		text := strings.Repeat("0123456789", size/10)
		for rest := text; rest != ""; {
			n, err := c.Write(runs(rest))
			require.NoError(t, err, "%d bytes are left", len(rest))
			require.NotZero(t, n)
			rest = rest[n:]
		}
		synctest.Wait()
		assert.Equal(t, text, p.taken())
		assertTook(t, size*gap, start)
		n, err := c.Write(runs("more"))
		assert.Zero(t, n)
		require.ErrorIs(t, err, transport.ErrStalled)
		assert.GreaterOrEqual(t, time.Since(start), size*gap+time.Minute*15/16)
	})
}

// The deadline of an earlier write fails no later one too early, where writes can
// go on, and may do so a little where they cannot.
func TestDeadlineOfAnEarlierWrite(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 3 * time.Second, 30 * time.Second, 59 * time.Second, time.Minute, time.Hour} {
		overKinds(t, func(t *testing.T, c transport.Conn, p peer) {
			go p.take(5)
			_, err := c.Write(runs("hello"))
			require.NoError(t, err)
			time.Sleep(pause)

			start := time.Now()
			n, err := c.Write(runs("again"))
			assert.Zero(t, n)
			require.ErrorIs(t, err, transport.ErrStalled, "after %v", pause)
			if strings.HasSuffix(t.Name(), "layered") {
				assert.GreaterOrEqual(t, time.Since(start), time.Minute*15/16, "after %v", pause)
			} else {
				assertTook(t, time.Minute, start)
			}
		})
	}
}

// A peer that begins to take after an earlier write's deadline is in time.
func TestWriteAcrossAnEarlierDeadline(t *testing.T) {
	overKinds(t, func(t *testing.T, c transport.Conn, p peer) {
		go p.take(5)
		_, err := c.Write(runs("hello"))
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		time.AfterFunc(59*time.Second-time.Millisecond, func() { p.take(5) })
		if strings.HasSuffix(t.Name(), "layered") {
			time.Sleep(2 * time.Second) // so that the deadline is moved
		}
		n, err := c.Write(runs("again"))
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 5, n)
		assert.Equal(t, "helloagain", p.taken())
	})
}

func TestPartOfAWriteIsTaken(t *testing.T) {
	overKinds(t, func(t *testing.T, c transport.Conn, p peer) {
		go p.take(3)
		n, err := c.Write(runs("hello"))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		synctest.Wait()
		assert.Equal(t, "hel", p.taken())
	})
}

func TestWriteAfterClose(t *testing.T) {
	overKinds(t, func(t *testing.T, c transport.Conn, _ peer) {
		c.Close()
		for range 2 {
			_, err := c.Write(runs("hello"))
			require.Error(t, err)
			require.NotErrorIs(t, err, transport.ErrStalled)
			c.ClearWriteDeadline()
		}
	})
}

func TestCloseEndsAWrite(t *testing.T) {
	for name, end := range map[string]func(transport.Conn){"Close": transport.Conn.Close, "Abandon": transport.Conn.Abandon} {
		t.Run(name, func(t *testing.T) {
			overKinds(t, func(t *testing.T, c transport.Conn, _ peer) {
				start := time.Now()
				time.AfterFunc(time.Second, func() { end(c) })
				_, err := c.Write(runs("hello"))
				require.Error(t, err)
				require.NotErrorIs(t, err, transport.ErrStalled)
				assertTook(t, time.Second, start)
			})
		})
	}
}

// A slowLayer is a layer whose Close takes a second.
type slowLayer struct{ fakeLayer }

func (l slowLayer) Close() error {
	time.Sleep(time.Second)
	return l.fakeLayer.Close()
}

// Closing a layer first ends a write that is under way, which is no stall.
func TestWriteWhileALayerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := newPipe(t)
		c := transport.New(slowLayer{fakeLayer{near}}, time.Minute)
		time.AfterFunc(time.Second, c.Close)
		_, err := c.Write(runs("hello"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.NotErrorIs(t, err, transport.ErrStalled)
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

// A deadline that is left would end what writes without waiting, and reads that
// write.
func TestClearWriteDeadline(t *testing.T) {
	t.Run("polled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newMemSocket()
			c := transport.New(s, time.Minute)
			s.take(5)
			_, err := c.Write(runs("hello"))
			require.NoError(t, err)
			c.ClearWriteDeadline()
			time.Sleep(time.Hour)
			s.take(3)
			n, err := c.TryWrite(runs("again"))
			require.NoError(t, err)
			assert.Equal(t, 3, n)
			n, err = c.TryWrite(runs("in"))
			require.NoError(t, err, "it can take nothing now")
			assert.Zero(t, n)
		})
	})
	t.Run("layered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t)
			nc := newRekeyingConn(near)
			c := transport.New(nc, time.Minute)
			p := &pipePeer{Conn: far}
			go p.take(5)
			_, err := c.Write(runs("hello"))
			require.NoError(t, err)
			c.ClearWriteDeadline()
			time.Sleep(time.Hour)
			nc.rekey <- struct{}{}
			got := read(c)
			_, err = far.Write([]byte("x"))
			require.NoError(t, err)
			time.Sleep(time.Hour)
			p.take(len("new keys"))
			r := <-got
			require.NoError(t, r.err)
			assert.Equal(t, "x", r.text)
			assert.Equal(t, "hellonew keys", p.taken())
		})
	})
}

// A socket that has a little room does not say so: what it takes counts all the
// same.
func TestWriteIntoALittleRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemSocket()
		s.wakeAt = 100
		c := transport.New(s, time.Minute)
		start := time.Now()
		time.AfterFunc(time.Second, func() { s.take(2) })
		n, err := c.Write(runs("hello"))
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assertTook(t, time.Minute, start)

		start = time.Now()
		time.AfterFunc(time.Second, func() { s.take(101) })
		n, err = c.Write(runs("llo"))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		assertTook(t, time.Second, start)
	})
}

func TestTryWriteElsewhere(t *testing.T) {
	near, _ := newPipe(t)
	_, err := transport.New(near, 0).TryWrite(runs("hello"))
	require.Error(t, err)
}

// A ratedConn takes so many bytes a second, each write whole, and notes its writes.
type ratedConn struct {
	net.Conn
	rate   int // zero: all at once
	writes []int
	got    []byte
}

func (c *ratedConn) Write(p []byte) (int, error) {
	if c.rate > 0 {
		time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(c.rate))
	}
	c.writes, c.got = append(c.writes, len(p)), append(c.got, p...)
	return len(p), nil
}

// What is written at once is what the peer takes in a tenth of a second, so that
// its progress shows, and no more than a record to a layer.
func TestPieces(t *testing.T) {
	const kib = 1 << 10
	tests := []struct {
		rate            int
		stream, layered []int // writes from then on
	}{
		{0, []int{64 * kib, 64 * kib}, []int{16 * kib, 16 * kib}},
		{640 * kib, []int{64 * kib, 64 * kib}, []int{16 * kib, 16 * kib}},
		{320 * kib, []int{64 * kib, 32 * kib, 32 * kib}, []int{16 * kib, 16 * kib}},
		{40 * kib, []int{64 * kib, 4 * kib, 4 * kib}, []int{16 * kib, 4 * kib, 4 * kib}},
		{kib, []int{64 * kib, kib, kib}, []int{16 * kib, kib, kib}},
	}
	for _, tt := range tests {
		for name, want := range map[string][]int{"stream": tt.stream, "layered": tt.layered} {
			synctest.Test(t, func(t *testing.T) {
				near, _ := newPipe(t)
				rated := &ratedConn{Conn: near}
				var nc net.Conn = rated
				if name == "layered" {
					nc = fakeLayer{rated}
				}
				c := transport.New(nc, time.Hour)
				p := make([]byte, 100*kib)
				grow(t, c)
				rated.rate, rated.writes = tt.rate, nil
				for range want {
					n, err := c.Write([][]byte{p})
					require.NoError(t, err)
					require.Equal(t, rated.writes[len(rated.writes)-1], n)
				}
				assert.Equal(t, want, rated.writes, "%s at %d a second", name, tt.rate)

				rated.rate, rated.writes = 0, nil
				for range 7 {
					_, err := c.Write([][]byte{p})
					require.NoError(t, err)
				}
				assert.Equal(t, want[0], rated.writes[6], "%s after %d a second", name, tt.rate)
				_, err := c.Write(runs("hello"))
				require.NoError(t, err)
				assert.Equal(t, 5, rated.writes[7])
			})
		}
	}
}

// grow writes until c writes as much at once as it ever does.
func grow(t *testing.T, c transport.Conn) {
	t.Helper()
	for range 8 {
		_, err := c.Write([][]byte{make([]byte, 100<<10)})
		require.NoError(t, err)
	}
}

// A wrongConn returns from Write what no connection should.
type wrongConn struct {
	net.Conn
	n   int
	err error
}

func (c wrongConn) Write([]byte) (int, error) { return c.n, c.err }

func TestWrongWrites(t *testing.T) {
	near, _ := newPipe(t)
	tests := []struct {
		n    int
		err  error
		want int
	}{
		{3, io.ErrShortWrite, 3},
		{-1, io.ErrShortWrite, 0},
		{100, nil, 5},
		{100, io.ErrClosedPipe, 5},
	}
	for _, tt := range tests {
		nc := wrongConn{Conn: near, n: tt.n, err: tt.err}
		if tt.err == io.ErrShortWrite {
			nc.err = nil
		}
		n, err := transport.New(nc, 0).Write(runs("hello"))
		assert.Equal(t, tt.want, n)
		assert.Equal(t, tt.err, err)
	}
}

// Short runs are copied together as far as all of them fit, so that gaps between
// them cost no writes; a long one is written on its own.
func TestRunsAreGathered(t *testing.T) {
	const kib = 1 << 10
	tests := []struct {
		name string
		runs []int // in bytes
		want []int // writes
	}{
		{"one", []int{5}, []int{5}},
		{"short", []int{5, 6, 7}, []int{18}},
		{"long", []int{10 * kib, 10 * kib}, []int{10 * kib, 10 * kib}},
		{"short before long", []int{5, 10 * kib, 10 * kib}, []int{20*kib + 5}},
		{"short before very long", []int{5, 40 * kib}, []int{5, 40 * kib}},
		{"many", []int{7 * kib, 7 * kib, 7 * kib, 7 * kib, 7 * kib}, []int{28 * kib, 7 * kib}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, _ := newPipe(t)
			nc := &ratedConn{Conn: near}
			c := transport.New(nc, 0)
			grow(t, c)
			nc.writes, nc.got = nil, nil
			text := make([]byte, 100*kib)
			for i := range text {
				text[i] = byte(i * 31 >> 3)
			}
			var runs [][]byte
			total := 0
			for _, n := range tt.runs {
				runs = append(runs, text[total:total+n])
				total += n
			}
			for len(runs) > 0 {
				n, err := c.Write(runs)
				require.NoError(t, err)
				require.NotZero(t, n)
				runs = behind(runs, n)
			}
			assert.Equal(t, tt.want, nc.writes)
			assert.Equal(t, text[:total], nc.got)
		})
	}
}

// behind returns what is left of runs behind n bytes.
func behind(runs [][]byte, n int) [][]byte {
	for ; n > 0; runs = runs[1:] {
		if n < len(runs[0]) {
			return append([][]byte{runs[0][n:]}, runs[1:]...)
		}
		n -= len(runs[0])
	}
	return runs
}

package chatroomtest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

// A wrapper gives a connection a fault.
type wrapper struct {
	name  string
	delay time.Duration // by which the end is late
	wrap  func(net.Conn) net.Conn
}

// wrappers are of every kind, alone and composed.
var wrappers = []wrapper{
	{"none", 0, func(nc net.Conn) net.Conn { return nc }},
	{"Slice", 0, func(nc net.Conn) net.Conn { return chatroomtest.Slice(nc, 1) }},
	{"Stall", 0, func(nc net.Conn) net.Conn { return chatroomtest.Stall(nc) }},
	{"LimitData", 0, func(nc net.Conn) net.Conn { return chatroomtest.LimitData(nc, 1<<40) }},
	{"Latency", time.Second, func(nc net.Conn) net.Conn { return chatroomtest.Latency(nc, time.Second) }},
	{"Bandwidth", 0, func(nc net.Conn) net.Conn { return chatroomtest.Bandwidth(nc, 1000) }},
	{"Corrupt", 0, func(nc net.Conn) net.Conn { return chatroomtest.Corrupt(nc, 1<<40) }},
	{"latency inside", time.Second, func(nc net.Conn) net.Conn {
		return chatroomtest.Slice(chatroomtest.Stall(chatroomtest.Latency(chatroomtest.LimitData(nc, 1<<40), time.Second)), 3)
	}},
	{"latency outside", time.Second, func(nc net.Conn) net.Conn {
		return chatroomtest.Latency(chatroomtest.Corrupt(chatroomtest.Bandwidth(chatroomtest.Slice(nc, 1), 1e6)), time.Second)
	}},
}

// overWrappers runs test in a bubble for each wrapper around one end of a pipe
// that holds size bytes.
func overWrappers(t *testing.T, size int, test func(t *testing.T, w wrapper, nc, peer net.Conn)) {
	for _, w := range wrappers {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newTestPipe(t, size)
				nc := w.wrap(a)
				t.Cleanup(func() { _ = nc.Close() })
				test(t, w, nc, b)
			})
		})
	}
}

// much is more than anything between two ends holds, in bytes.
const much = 3 << 20

func TestFaultsRespectDeadlines(t *testing.T) {
	overWrappers(t, 16, func(t *testing.T, _ wrapper, nc, _ net.Conn) {
		start := time.Now()
		require.NoError(t, nc.SetDeadline(start.Add(time.Minute)))
		done := writing(nc, make([]byte, much))
		_, err := nc.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		end := <-done
		require.ErrorIs(t, end.err, os.ErrDeadlineExceeded)
		require.GreaterOrEqual(t, end.n, 16)
		require.Less(t, end.n, much)
		require.Equal(t, time.Minute, time.Since(start))

		require.NoError(t, nc.SetReadDeadline(time.Time{}))
		require.NoError(t, nc.SetWriteDeadline(time.Now().Add(-1)))
		n, err := nc.Write([]byte("late"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, n)
	})
}

func TestFaultsAreUnblockedByClose(t *testing.T) {
	for name, end := range map[string]func(net.Conn) error{"Close": net.Conn.Close, "Reset": chatroomtest.Reset} {
		t.Run(name, func(t *testing.T) {
			overWrappers(t, 16, func(t *testing.T, _ wrapper, nc, _ net.Conn) {
				start := time.Now()
				one, two := writing(nc, make([]byte, much)), writing(nc, make([]byte, much))
				read := make(chan error)
				go func() {
					_, err := nc.Read(make([]byte, 1))
					read <- err
				}()
				synctest.Wait()
				require.NoError(t, end(nc))
				for _, err := range []error{(<-one).err, (<-two).err, <-read, nc.Close(), end(nc)} {
					require.ErrorIs(t, err, net.ErrClosed)
				}
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestFaultsPassOnEnds(t *testing.T) {
	overWrappers(t, 64, func(t *testing.T, w wrapper, nc, peer net.Conn) {
		all, start := reading(peer), time.Now()
		n, err := nc.Write([]byte("goodbye"))
		require.NoError(t, err)
		require.Equal(t, 7, n)
		took := time.Since(start)
		require.NoError(t, chatroomtest.CloseWrite(nc))
		_, err = nc.Write([]byte("again"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.Equal(t, "goodbye", string(<-all))
		require.GreaterOrEqual(t, time.Since(start), took+w.delay)

		answer := reading(nc)
		_, err = peer.Write([]byte("farewell"))
		require.NoError(t, err)
		require.NoError(t, peer.Close())
		require.Equal(t, "farewell", string(<-answer))
	})
	overWrappers(t, 64, func(t *testing.T, _ wrapper, nc, peer net.Conn) {
		require.NoError(t, chatroomtest.Reset(nc))
		_, err := peer.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
	overWrappers(t, 64, func(t *testing.T, _ wrapper, nc, peer net.Conn) {
		require.NoError(t, chatroomtest.Reset(peer))
		_, err := nc.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// Over what cannot end one direction, faults cannot either, and say so.
func TestFaultsDoNotInventHalves(t *testing.T) {
	for _, w := range wrappers {
		a, b := net.Pipe()
		nc := w.wrap(a)
		require.ErrorIs(t, chatroomtest.CloseWrite(nc), errors.ErrUnsupported, w.name)
		require.NoError(t, b.Close())
		require.NoError(t, chatroomtest.Reset(nc), w.name)
	}
}

func TestSliceCutsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPipe(t, 0)
		sliced := chatroomtest.Slice(a, 4)
		done := writing(sliced, []byte("0123456789"))
		buf := make([]byte, 10)
		for _, want := range []string{"0123", "4567", "89"} {
			n, err := b.Read(buf)
			require.NoError(t, err)
			require.Equal(t, want, string(buf[:n]))
		}
		require.Equal(t, written{10, nil}, <-done)

		done = writing(b, []byte("0123456789"))
		n, err := sliced.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "0123", string(buf[:n]))
		require.NoError(t, sliced.Close())
		require.Equal(t, 4, (<-done).n)
	})
}

func TestStallStopsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, b := newTestPipe(t, 0)
		stalled := chatroomtest.Stall(a)
		done := writing(stalled, []byte("0123456789"))
		buf := make([]byte, 10)
		_, err := io.ReadFull(b, buf[:4])
		require.NoError(t, err)
		stalled.StallWrites()
		stalled.StallWrites()
		require.NoError(t, b.SetReadDeadline(start.Add(time.Second)))
		_, err = b.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, b.SetReadDeadline(time.Time{}))
		stalled.ResumeWrites()
		_, err = io.ReadFull(b, buf[:6])
		require.NoError(t, err)
		require.Equal(t, "456789", string(buf[:6]))
		require.Equal(t, written{10, nil}, <-done)

		got := make(chan string, 1)
		go func() {
			p := make([]byte, 10)
			n, _ := stalled.Read(p)
			got <- string(p[:n])
		}()
		synctest.Wait()
		stalled.StallReads()
		require.NoError(t, b.SetWriteDeadline(start.Add(time.Minute)))
		n, err := b.Write([]byte("hello"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, n)
		require.NoError(t, b.SetWriteDeadline(time.Time{}))
		stalled.ResumeReads()
		_, err = b.Write([]byte("hello"))
		require.NoError(t, err)
		require.Equal(t, "hello", <-got)
	})
}

func TestStalledCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, _ := newTestPipe(t, 100)
		stalled := chatroomtest.Stall(a)
		stalled.StallReads()
		stalled.StallWrites()
		require.NoError(t, stalled.SetDeadline(start.Add(time.Hour)))
		_, err := stalled.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = stalled.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(start))

		// A deadline set while it was stalled still holds afterwards.
		require.NoError(t, stalled.SetReadDeadline(start.Add(3*time.Hour)))
		time.AfterFunc(time.Hour, stalled.ResumeReads)
		_, err = stalled.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 3*time.Hour, time.Since(start))

		require.NoError(t, stalled.SetDeadline(time.Time{}))
		stalled.StallReads()
		time.AfterFunc(time.Hour, func() { _ = stalled.Close() })
		done := writing(stalled, []byte("x"))
		_, err = stalled.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, (<-done).err, net.ErrClosed)
		stalled.ResumeReads()
		stalled.StallWrites()
	})
}

func TestLimitDataCutsAtTheByte(t *testing.T) {
	for limit := range int64(12) {
		for _, size := range []int{0, 64} {
			synctest.Test(t, func(t *testing.T) {
				a, b := newTestPipe(t, size)
				limited := chatroomtest.LimitData(a, limit)
				all := reading(b)
				sent := 0
				var err error
				for _, part := range []string{"0123", "", "456", "789"} {
					var n int
					n, err = limited.Write([]byte(part))
					sent += n
					if err != nil {
						require.ErrorIs(t, err, chatroomtest.ErrDataLimit)
						require.Less(t, n, len(part)+1)
						break
					}
					require.Equal(t, len(part), n)
				}
				if limit > 10 {
					require.NoError(t, err)
					require.NoError(t, limited.Close())
				}
				require.Equal(t, int(min(limit, 10)), sent)
				require.Equal(t, "0123456789"[:sent], string(<-all))
				if limit <= 10 {
					for _, use := range []func([]byte) (int, error){limited.Read, limited.Write} {
						_, err := use([]byte("x"))
						require.ErrorIs(t, err, chatroomtest.ErrDataLimit)
					}
					require.NoError(t, limited.Close())
				}
				_, err = limited.Write([]byte("x"))
				require.ErrorIs(t, err, net.ErrClosed)
				require.ErrorIs(t, limited.Close(), net.ErrClosed)
			})
		}
	}
}

func TestLatencyIsOfTheData(t *testing.T) {
	for _, size := range []int{0, 64} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			a, b := newTestPipe(t, size)
			late := chatroomtest.Latency(a, time.Minute)
			for _, part := range []string{"one", "two"} {
				_, err := late.Write([]byte(part))
				require.NoError(t, err)
				require.Zero(t, time.Since(start)%time.Second, "the writer is not held")
				time.Sleep(time.Second)
			}
			buf := make([]byte, 10)
			for i, part := range []string{"one", "two"} {
				n, err := b.Read(buf)
				require.NoError(t, err)
				require.Equal(t, part, string(buf[:n]))
				require.Equal(t, time.Minute+time.Duration(i)*time.Second, time.Since(start))
			}
			_, err := late.Write([]byte("three"))
			require.NoError(t, err)
			time.Sleep(time.Second)
			require.NoError(t, late.Close())
			require.Equal(t, "three", string(<-reading(b)), "Close lets what is under way arrive")
			require.Equal(t, 2*time.Minute+2*time.Second, time.Since(start), "the end arrives as the data does")
		})
	}
}

// What nobody takes does not keep a closed connection.
func TestLatencyLingersForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, b := newTestPipe(t, 0)
		late := chatroomtest.Latency(a, time.Minute)
		_, err := late.Write([]byte("never read"))
		require.NoError(t, err)
		require.NoError(t, late.Close())
		_, err = b.Write([]byte("nor is this"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.Equal(t, time.Minute+time.Second, time.Since(start))
		require.Empty(t, <-reading(b))
	})
}

func TestLatencyResetDropsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, b := newTestPipe(t, 64)
		late := chatroomtest.Latency(a, time.Minute)
		_, err := late.Write([]byte("lost"))
		require.NoError(t, err)
		require.NoError(t, chatroomtest.Reset(late))
		n, err := b.Read(make([]byte, 10))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Zero(t, n)
		require.Zero(t, time.Since(start))
	})
}

func TestLatencyHoldsAMebibyte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, b := newTestPipe(t, 0)
		late := chatroomtest.Latency(a, time.Minute)
		go func() { _, _ = io.Copy(io.Discard, b) }()
		_, err := late.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		_, err = late.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(start), "it waited for room")
		require.NoError(t, b.Close())
		_, err = late.Write([]byte("x"))
		require.NoError(t, err, "what the peer did is not known yet")
		time.Sleep(2 * time.Minute)
		_, err = late.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, late.Close())
	})
}

func TestBandwidthPacesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPipe(t, 0)
		start := time.Now()
		paced := chatroomtest.Bandwidth(a, 3) // of which a second is no multiple
		done := writing(paced, make([]byte, 3001))
		for i := range 3001 {
			n, err := b.Read(make([]byte, 10))
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.Equal(t, time.Duration(i)*time.Second/3, time.Since(start))
		}
		require.Equal(t, written{3001, nil}, <-done)
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPipe(t, 0)
		start := time.Now()
		paced := chatroomtest.Bandwidth(a, 1<<20)
		go func() { _, _ = io.Copy(io.Discard, b) }()
		require.NoError(t, paced.SetWriteDeadline(start.Add(2500*time.Millisecond)))
		n, err := paced.Write(make([]byte, 5<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.InDelta(t, 2.5*(1<<20), n, (1<<20)/100)
		require.NoError(t, paced.SetWriteDeadline(time.Time{}))
		_, err = paced.Write(make([]byte, 5<<20-n))
		require.NoError(t, err)
		require.InDelta(t, 5*time.Second, time.Since(start), float64(10*time.Millisecond))
	})
}

func TestCorruptFlipsBytesInTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPipe(t, 64)
		corrupt := chatroomtest.Corrupt(a, 8, -1, 0, 4, 4, 100)
		all := reading(b)
		for _, part := range []string{"0123", "4567", "", "89"} {
			p := []byte(part)
			n, err := corrupt.Write(p)
			require.NoError(t, err)
			require.Equal(t, len(part), n)
			require.Equal(t, part, string(p), "the caller's bytes stay as they are")
		}
		require.NoError(t, corrupt.Close())
		require.Equal(t, "\xcf123\xcb567\xc79", string(<-all))
	})
}

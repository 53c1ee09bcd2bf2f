package chatroomtest_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

// A memory is a kind of connection in memory.
type memory struct {
	name    string
	size    int // how many bytes a direction holds
	connect func() (a, b net.Conn)
}

func memories() []memory {
	all := []memory{{"pipe", 0, chatroomtest.Pipe}}
	for _, size := range []int{1, 3, 4096} {
		all = append(all, memory{fmt.Sprintf("link of %d", size), size, func() (a, b net.Conn) { return chatroomtest.NewLink(size) }})
	}
	return all
}

// overMemories runs test in a bubble for each kind of connection in memory.
func overMemories(t *testing.T, test func(t *testing.T, a, b net.Conn, size int)) {
	for _, m := range memories() {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := m.connect()
				defer b.Close()
				defer a.Close()
				test(t, a, b, m.size)
			})
		})
	}
}

// writing writes on a goroutine of its own, which the test must see the end of.
func writing(w io.Writer, p []byte) <-chan written {
	done := make(chan written, 1)
	go func() {
		n, err := w.Write(p)
		done <- written{n, err}
	}()
	return done
}

type written struct {
	n   int
	err error
}

// reading reads all there is, until the end.
func reading(r io.Reader) <-chan []byte {
	done := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(r)
		done <- b
	}()
	return done
}

func TestPipeHoldsItsSize(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		start := time.Now()
		n, err := a.Write(make([]byte, size))
		require.NoError(t, err)
		require.Equal(t, size, n)

		require.NoError(t, a.SetWriteDeadline(start.Add(time.Minute)))
		n, err = a.Write([]byte("full"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, n)
		require.Equal(t, time.Minute, time.Since(start))

		require.NoError(t, a.SetWriteDeadline(time.Time{}))
		done := writing(a, []byte("more"))
		got := make([]byte, size+4)
		_, err = io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, "more", string(got[size:]))
		require.Equal(t, written{4, nil}, <-done)
	})
}

// A write that meets its deadline says how much went out, and can go on there.
func TestPipeWritesInPart(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		want := bytes.Repeat([]byte("0123456789"), 1000)
		require.NoError(t, a.SetWriteDeadline(time.Now().Add(time.Second)))
		done := writing(a, want)
		got := make([]byte, 3)
		_, err := io.ReadFull(b, got)
		require.NoError(t, err)
		part := <-done
		require.ErrorIs(t, part.err, os.ErrDeadlineExceeded)
		require.Equal(t, 3+size, part.n)

		require.NoError(t, a.SetWriteDeadline(time.Time{}))
		done = writing(a, want[part.n:])
		rest := make([]byte, len(want)-3)
		_, err = io.ReadFull(b, rest)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got)+string(rest))
		require.NoError(t, (<-done).err)
	})
}

func TestPipeKeepsEveryByte(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		const seed = 5
		random := rand.New(rand.NewPCG(seed, uint64(size)))
		want := make([]byte, 20_000)
		for i := range want {
			want[i] = byte(random.Int())
		}
		go func() {
			random := rand.New(rand.NewPCG(seed+1, uint64(size)))
			for p := want; len(p) > 0; {
				if l, ok := a.(*chatroomtest.Link); ok {
					l.SetRate(random.IntN(100_000))
					l.SetSlice(random.IntN(20))
					l.SetLatency(time.Duration(random.IntN(int(time.Second))))
				}
				n, err := a.Write(p[:random.IntN(min(len(p), 150))+1])
				assert.NoError(t, err)
				p = p[n:]
			}
			assert.NoError(t, a.Close())
		}()
		var got []byte
		for {
			p := make([]byte, random.IntN(150))
			n, err := b.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				require.Equal(t, io.EOF, err)
				break
			}
		}
		require.True(t, bytes.Equal(want, got), "size %d, seed %d", size, seed)
	})
}

func TestPipeDoesNotMixWrites(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		for i := range 4 {
			go func() {
				for range 5 {
					_, err := a.Write(bytes.Repeat([]byte{byte('a' + i)}, 10))
					assert.NoError(t, err)
				}
			}()
		}
		for range 20 {
			got := make([]byte, 10)
			_, err := io.ReadFull(b, got)
			require.NoError(t, err)
			require.Equal(t, bytes.Repeat(got[:1], 10), got)
		}
	})
}

func TestPipeEnds(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		buf := make([]byte, 10)
		stuck := writing(a, make([]byte, 10_000))
		synctest.Wait()
		require.NoError(t, a.Close())
		got, err := io.ReadAll(b)
		require.NoError(t, err, "the end follows what was written")
		require.Len(t, got, size)
		end := <-stuck
		require.ErrorIs(t, end.err, net.ErrClosed)
		require.Equal(t, size, end.n)
		for _, use := range []func([]byte) (int, error){a.Read, a.Write} {
			_, err = use(buf)
			require.ErrorIs(t, err, net.ErrClosed)
		}
		require.ErrorIs(t, a.Close(), net.ErrClosed)
		require.ErrorIs(t, a.SetDeadline(time.Now()), net.ErrClosed)
		require.ErrorIs(t, chatroomtest.Reset(a), net.ErrClosed)
		_, err = b.Write(buf)
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, b.SetDeadline(time.Now()))
	})
}

func TestPipeReset(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		stuck := writing(b, make([]byte, 10_000))
		_ = writing(a, []byte("lost"))
		synctest.Wait()
		require.NoError(t, chatroomtest.Reset(a))
		require.ErrorIs(t, (<-stuck).err, syscall.ECONNRESET)
		for _, use := range []func([]byte) (int, error){b.Read, b.Write} {
			_, err := use([]byte("x"))
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, b.Close())
		_, err = b.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// Deadlines reach calls that wait already, also those that wait for their turn.
func TestPipeDeadlinesMove(t *testing.T) {
	overMemories(t, func(t *testing.T, a, b net.Conn, size int) {
		start := time.Now()
		require.NoError(t, a.SetDeadline(start.Add(time.Hour)))
		results := make(chan error, 3)
		go func() {
			_, err := a.Read(make([]byte, 1))
			results <- err
		}()
		for range 2 {
			go func() {
				_, err := a.Write(make([]byte, 5000))
				results <- err
			}()
		}
		synctest.Wait()
		require.NoError(t, a.SetDeadline(start.Add(2*time.Hour)))
		time.Sleep(time.Hour + time.Minute)
		require.Empty(t, results)
		require.NoError(t, a.SetDeadline(start.Add(90*time.Minute)))
		for range 3 {
			require.ErrorIs(t, <-results, os.ErrDeadlineExceeded)
		}
		require.Equal(t, 90*time.Minute, time.Since(start))
	})
}

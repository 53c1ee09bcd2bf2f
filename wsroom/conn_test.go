package wsroom

import (
	"bytes"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A cutting connection takes a number of bytes, and then as many as it is allowed. Its writes
// fail like those whose deadline has passed.
type cutting struct {
	net.Conn
	takes int
	wire  []byte
}

func (c *cutting) Write(p []byte) (int, error) {
	n := min(len(p), c.takes)
	c.takes -= n
	c.wire = append(c.wire, p[:n]...)
	if n < len(p) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (c *cutting) SetReadDeadline(time.Time) error  { return nil }
func (c *cutting) SetWriteDeadline(time.Time) error { return nil }
func (c *cutting) Close() error                     { return nil }

// wireOf returns what a client and a server would read of the wire: the payloads of its
// messages, and the kinds of its whole frames.
func wireOf(t *testing.T, masked bool, wire []byte) (stream []byte, kinds []ws.OpCode) {
	t.Helper()
	for r := bytes.NewReader(wire); r.Len() > 0; {
		f, err := ws.ReadFrame(r)
		require.NoError(t, err)
		require.Equal(t, masked, f.Header.Masked)
		if kinds = append(kinds, f.Header.OpCode); masked {
			f = ws.UnmaskFrame(f)
		}
		if !f.Header.OpCode.IsControl() {
			stream = append(stream, f.Payload...)
		}
	}
	return stream, kinds
}

// A deadline may cut a write anywhere: inside a ping, inside a header, inside a payload. What is
// written next goes on there.
func TestWriteGoesOn(t *testing.T) {
	overEnds(t, func(t *testing.T, client bool) {
		for _, size := range []int{1, 200, 70_000} {
			stream := bytes.Repeat([]byte("chatroom"), size)[:size]
			for takes := range 30 {
				nc := &cutting{takes: takes}
				c := newConn(nc, client, nil)
				c.ping = ws.OpPing
				n, err := c.Write(stream)
				if n < len(stream) {
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				}
				nc.takes = 1 << 20
				n2, err := c.Write(stream[n:])
				require.NoError(t, err)
				require.Equal(t, size, n+n2)
				got, kinds := wireOf(t, client, nc.wire)
				require.True(t, bytes.Equal(stream, got), "cut after %d bytes", takes)
				require.Equal(t, []ws.OpCode{ws.OpPing, ws.OpBinary}, kinds, "cut after %d bytes", takes)
			}
		}
	})
}

// After a message that was cut there is no close frame, which would be taken for a part of the
// message. After a control frame that was cut there is one.
func TestCloseAfterCut(t *testing.T) {
	overEnds(t, func(t *testing.T, client bool) {
		header := 2
		if client {
			header += 4
		}
		for takes := range 2*header + 5 {
			nc := &cutting{takes: takes}
			c := newConn(nc, client, nil)
			c.ping = ws.OpPing
			_, err := c.Write([]byte("hello"))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			nc.takes = 1 << 20
			require.NoError(t, c.Close())
			if takes > header { // the ping is whole, and the message has begun
				assert.Len(t, nc.wire, takes)
				continue
			}
			_, kinds := wireOf(t, client, nc.wire)
			assert.Equal(t, []ws.OpCode{ws.OpPing, ws.OpClose}, kinds, "cut after %d bytes", takes)
		}
	})
}

// A peer that takes nothing, and pings, does not make the pongs pile up.
func TestPongsOfWritesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc := &cutting{takes: 1}
		c := newConn(nc, false, nil)
		for range 100 {
			c.answerPing(make([]byte, 125))
			synctest.Wait()
			_, err := c.Write([]byte("hello"))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			synctest.Wait()
		}
		assert.LessOrEqual(t, cap(c.enc.head), 512)
		nc.takes = 1 << 20
		_, err := c.Write([]byte("hello"))
		require.NoError(t, err)
		synctest.Wait()
		_, kinds := wireOf(t, false, nc.wire)
		assert.Equal(t, []ws.OpCode{ws.OpPong, ws.OpBinary, ws.OpPong}, kinds)
	})
}

func overEnds(t *testing.T, test func(t *testing.T, client bool)) {
	for _, client := range []bool{false, true} {
		t.Run(map[bool]string{false: "server", true: "client"}[client], func(t *testing.T) { test(t, client) })
	}
}

// newPiped returns a server's end, and what is below the client's.
func newPiped(t *testing.T) (c *conn, far net.Conn) {
	near, far := net.Pipe()
	c = newConn(near, false, nil)
	t.Cleanup(func() {
		_ = far.Close()
		_ = c.Close()
		synctest.Wait() // for writeControls
	})
	return c, far
}

// Whoever writes behind a pong that the peer does not take waits until their own deadline, and
// not until the pong's.
func TestWriteDeadlineBehindPong(t *testing.T) {
	for _, first := range []string{"deadline", "write"} {
		t.Run(first+" first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, far := newPiped(t)
				c.answerPing([]byte("ping"))
				synctest.Wait() // the pong is being written
				by := time.Now().Add(time.Second)
				if first == "deadline" {
					require.NoError(t, c.SetWriteDeadline(by))
				}
				written := make(chan error, 1)
				go func() {
					_, err := c.Write([]byte("hello"))
					written <- err
				}()
				if first == "write" {
					synctest.Wait()
					require.NoError(t, c.SetWriteDeadline(by))
				}
				require.ErrorIs(t, <-written, os.ErrDeadlineExceeded)
				assert.Equal(t, by, time.Now())

				require.NoError(t, c.SetWriteDeadline(time.Time{}))
				go func() {
					_, err := c.Write([]byte("hello"))
					written <- err
				}()
				wantFrames(t, far, ws.NewPongFrame([]byte("ping")), ws.NewBinaryFrame([]byte("hello")))
				require.NoError(t, <-written)
			})
		})
	}
}

func wantFrames(t *testing.T, nc io.Reader, want ...ws.Frame) {
	t.Helper()
	for _, f := range want {
		got, err := ws.ReadFrame(nc)
		require.NoError(t, err)
		require.Equal(t, f.Header.OpCode, got.Header.OpCode)
		require.Equal(t, string(f.Payload), string(got.Payload))
	}
}

// A ping that comes while an earlier one is being answered is answered, too, though nobody writes
// anything.
func TestPingDuringPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := newPiped(t)
		c.answerPing([]byte("1"))
		synctest.Wait()
		c.answerPing([]byte("2"))
		c.answerPing([]byte("3"))
		wantFrames(t, far, ws.NewPongFrame([]byte("1")), ws.NewPongFrame([]byte("3")))
	})
}

// A token goes to who has waited for longest, and who gives up takes nothing with them.
func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c conn
		require.True(t, c.take(&c.writing, nil))
		got := make(chan int, 10)
		for i := range 10 {
			go func() {
				var patience <-chan time.Time
				if i%2 == 1 {
					patience = time.After(time.Second)
				}
				if c.take(&c.writing, patience) {
					got <- i
					time.Sleep(time.Second) // it is I/O
					c.give(&c.writing)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		assert.Empty(t, got)
		c.give(&c.writing)
		time.Sleep(time.Minute)
		for _, want := range []int{0, 2, 4, 6, 8} {
			require.Equal(t, want, <-got)
		}
		assert.Empty(t, got)
		synctest.Wait()
		assert.False(t, c.writing.held)
		assert.Zero(t, c.writing.waiting)
	})
}

// Who gives up in the moment in which the token comes has it or has it not, and it is never lost.
func TestTokenGivenUp(t *testing.T) {
	for i := range 100 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c conn
				require.True(t, c.take(&c.writing, nil))
				for range 3 {
					go func() {
						if c.take(&c.writing, time.After(time.Second)) {
							c.give(&c.writing)
						}
					}()
				}
				time.Sleep(time.Second) // as long as they have patience
				c.give(&c.writing)
				synctest.Wait()
				assert.False(t, c.writing.held)
				assert.Zero(t, c.writing.waiting)
			})
		})
	}
}

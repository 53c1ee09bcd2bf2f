package wsroom_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
)

// What breaks the rules ends the connection with a code that says so.
func TestHostileFrames(t *testing.T) {
	tests := []struct {
		name string
		send []byte
		code ws.StatusCode
	}{
		{"text", ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("hello")))), wsroom.CodeUnsupported},
		{"not masked", ws.MustCompileFrame(ws.NewBinaryFrame([]byte("hello"))), wsroom.CodeProtocol},
		{"reserved bit", []byte{0xc2, 0x80, 0, 0, 0, 0}, wsroom.CodeProtocol},
		{"reserved opcode", []byte{0x83, 0x80, 0, 0, 0, 0}, wsroom.CodeProtocol},
		{"continues nothing", []byte{0x80, 0x80, 0, 0, 0, 0}, wsroom.CodeProtocol},
		{"begins twice", []byte{0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0}, wsroom.CodeProtocol},
		{"long ping", []byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, wsroom.CodeProtocol},
		{"ping in fragments", []byte{0x09, 0x80, 0, 0, 0, 0}, wsroom.CodeProtocol},
		{"length beyond all", append([]byte{0x82}, bytes.Repeat([]byte{0xff}, 13)...), wsroom.CodeProtocol},
		{"close of one byte", []byte{0x88, 0x81, 0, 0, 0, 0, 1}, wsroom.CodeProtocol},
		{"close with a code that is none", []byte{0x88, 0x82, 0, 0, 0, 0, 0, 1}, wsroom.CodeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc := dialRaw(t, newRoom(t))
				writeFrame(t, nc, ws.OpBinary, frames("x"))
				_, err := nc.Write(tt.send)
				require.NoError(t, err)
				f := readFrame(t, nc)
				require.Equal(t, ws.OpClose, f.Header.OpCode)
				code, _ := ws.ParseCloseFrameData(f.Payload)
				assert.Equal(t, tt.code, code)
			})
		})
	}
}

// A stream may be cut into messages, fragments and reads of any size, with control frames
// anywhere between them.
func TestCutAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRoom(t)
		nc := dialRaw(t, s)
		url, d := startMemory(t, wsroom.Handler(s))
		c, err := chatroom.Dial(t.Context(), "", url, "ben", chatroom.WithDialer(d.DialContext))
		require.NoError(t, err)
		defer c.Close()
		synctest.Wait()
		var wire []byte
		add := func(f ws.Frame) { wire = append(wire, ws.MustCompileFrame(ws.MaskFrame(f))...) }
		for i, b := range frames("ann", "hello", "") {
			op := ws.OpContinuation
			if i == 0 {
				op = ws.OpBinary
			}
			add(ws.NewFrame(op, i == 39, []byte{b}))
			add(ws.NewPingFrame([]byte{b}))
			add(ws.NewFrame(ws.OpPong, true, nil))
		}
		for _, b := range wire {
			_, err := nc.Write([]byte{b})
			require.NoError(t, err)
		}
		for _, want := range []string{"hello", ""} {
			m, err := c.Receive(t.Context())
			require.NoError(t, err)
			assert.Equal(t, chatroom.Message{From: "ann", Body: []byte(want)}, m)
		}
	})
}

// A huge frame that is announced takes no memory, and is as good as any other way to send
// the stream.
func TestHugeFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRoom(t)
		nc := dialRaw(t, s)
		_, err := nc.Write([]byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
		require.NoError(t, err)
		_, err = nc.Write(frames("ann"))
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, s.Members(), 1)
	})
}

func TestPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc := dialRaw(t, newRoom(t))
		writeFrame(t, nc, ws.OpBinary, frames("x"))
		for range 1000 {
			writeFrame(t, nc, ws.OpPing, []byte("old"))
		}
		writeFrame(t, nc, ws.OpPing, []byte("are you there?"))
		for {
			f := readFrame(t, nc)
			require.Equal(t, ws.OpPong, f.Header.OpCode)
			if string(f.Payload) == "are you there?" {
				return
			}
		}
	})
}

// Members are pinged. Who answers stays for as long as they like, and who has vanished goes.
func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 1)
		s := newRoom(t, chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { left <- reason }))
		nc := dialRaw(t, s, wsroom.WithPingInterval(time.Minute))
		writeFrame(t, nc, ws.OpBinary, frames("x"))
		start := time.Now()
		for i := range 10 {
			f := readFrame(t, nc)
			require.Equal(t, ws.OpPing, f.Header.OpCode)
			require.Equal(t, time.Duration(i+1)*time.Minute, time.Since(start))
			writeFrame(t, nc, ws.OpPong, f.Payload)
		}
		require.ErrorIs(t, <-left, os.ErrDeadlineExceeded)
		assert.Equal(t, 13*time.Minute, time.Since(start).Truncate(time.Minute), "two pings were not answered")
	})
}

// A client that neither receives nor sends is still there.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRoom(t)
		url, d := startMemory(t, wsroom.Handler(s))
		c, err := chatroom.Dial(t.Context(), "", url, "ann", chatroom.WithDialer(d.DialContext))
		require.NoError(t, err)
		defer c.Close()
		time.Sleep(time.Hour)
		assert.Len(t, s.Members(), 1)
	})
}

// A member whose messages wait for a hook is not read, and does not count as silent.
func TestPingsWhileNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		go1 := make(chan struct{})
		s := newRoom(t, chatroom.WithOnMessage(func(context.Context, chatroom.Member, *chatroom.Message) error {
			<-go1
			return nil
		}))
		nc := dialRaw(t, s)
		writeFrame(t, nc, ws.OpBinary, frames("x", "hello"))
		time.Sleep(time.Hour)
		assert.Len(t, s.Members(), 1)
		close(go1)
		synctest.Wait()
		assert.Len(t, s.Members(), 1)
		time.Sleep(5 * time.Minute)
		assert.Empty(t, s.Members())
	})
}

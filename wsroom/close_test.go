package wsroom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
)

// dial opens a connection that has not sent its name.
func dial(tb testing.TB, url string, d *wsroom.Dialer) net.Conn {
	tb.Helper()
	nc, err := d.DialContext(context.Background(), "", url)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = nc.Close() })
	return nc
}

// closedWith reads nc to its end, and returns how it was closed.
func closedWith(tb testing.TB, nc net.Conn) *wsroom.CloseError {
	tb.Helper()
	_, err := io.Copy(io.Discard, nc)
	var closed *wsroom.CloseError
	require.ErrorAs(tb, err, &closed)
	return closed
}

func frames(payloads ...string) []byte {
	var b []byte
	for _, p := range payloads {
		b = chatroom.AppendFrame(b, []byte(p))
	}
	return b
}

func TestCloseCodes(t *testing.T) {
	kicks := chatroom.WithOnMessage(func(_ context.Context, m chatroom.Member, msg *chatroom.Message) error {
		m.Kick(errors.New(string(msg.Body)))
		return chatroom.ErrDrop
	})
	filter := chatroom.WithOnMessage(func(_ context.Context, _ chatroom.Member, msg *chatroom.Message) error {
		if string(msg.Body) == "panic" {
			panic("on purpose")
		}
		return errors.New("not here")
	})
	long := strings.Repeat("ä", 100)
	tests := []struct {
		name string
		send []byte
		opts []chatroom.ServerOption
		code int
		want string // in the reason
	}{
		{"refused by the rule", frames(" x"), nil, wsroom.CodePolicy, "name rejected"},
		{"refused by a hook", frames("x"), []chatroom.ServerOption{chatroom.WithAdmit(
			func(context.Context, *chatroom.Join) error { return errors.New("members only") },
		)}, wsroom.CodePolicy, "members only"},
		{"kicked", frames("x", "spam"), []chatroom.ServerOption{kicks}, wsroom.CodePolicy, "kicked: spam"},
		{"kicked at length", frames("x", long), []chatroom.ServerOption{kicks}, wsroom.CodePolicy, "ä…"},
		{"by a message hook", frames("x", "y"), []chatroom.ServerOption{filter}, wsroom.CodePolicy, "not here"},
		{"hook panics", frames("x", "panic"), []chatroom.ServerOption{filter}, wsroom.CodeInternal, ""},
		{"too large", append(frames("x"), "9999999   and the beginning"...), nil, wsroom.CodeTooLarge, "frame too large"},
		{"no frame", append(frames("x"), "what is this, then"...), nil, wsroom.CodeProtocol, "bad frame header"},
		{"silent", nil, []chatroom.ServerOption{chatroom.WithHandshakeTimeout(time.Second)}, wsroom.CodePolicy, "timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				url, d := startMemory(t, wsroom.Handler(newRoom(t, tt.opts...)))
				nc := dial(t, url, d)
				_, err := nc.Write(tt.send)
				require.NoError(t, err)
				closed := closedWith(t, nc)
				assert.Equal(t, tt.code, closed.Code)
				assert.Contains(t, closed.Reason, tt.want)
				assert.LessOrEqual(t, len(closed.Reason), 123)
				assert.True(t, utf8.ValidString(closed.Reason))
			})
		})
	}
}

// The end of the server is an end of the stream to clients, and loses nothing.
func TestShutdown(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			j := make(joins, 2)
			s := newRoom(t, j.option())
			url, d := tr.start(t, wsroom.Handler(s))
			c, err := chatroom.Dial(t.Context(), "", url, "ann", chatroom.WithDialer(d.DialContext))
			require.NoError(t, err)
			defer c.Close()
			j.await(t, "ann")
			raw := dial(t, url, d)
			_, err = raw.Write(frames("ben"))
			require.NoError(t, err)
			j.await(t, "ben")
			text := make([]byte, 100<<10)
			for range 20 {
				require.NoError(t, s.Broadcast(t.Context(), "host", text))
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Shutdown(context.Background()) }()
			got := 0
			for m, err := range c.Messages(t.Context()) {
				require.NoError(t, err)
				require.Len(t, m.Body, len(text))
				got++
			}
			assert.Equal(t, 20, got)
			n, err := io.Copy(io.Discard, raw)
			require.NoError(t, err, "1001 is a clean end")
			assert.EqualValues(t, 20*(len(frames("host"))+10+len(text)), n)
			require.NoError(t, <-ended)
		})
	}
}

// A close frame is a clean goodbye, whatever its code, and the end without one is not.
func TestGoodbye(t *testing.T) {
	tests := []struct {
		name string
		bye  []byte
		want error
		code ws.StatusCode // of the answer
	}{
		{"1000", ws.NewCloseFrameBody(1000, "bye"), nil, 1000},
		{"1001, as of a page that is left", ws.NewCloseFrameBody(1001, ""), nil, 1000},
		{"no code", []byte{}, nil, 1000},
		{"cut", nil, io.ErrUnexpectedEOF, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := make(chan error, 1)
				s := newRoom(t, chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { left <- reason }))
				nc := dialRaw(t, s)
				writeFrame(t, nc, ws.OpBinary, frames("x"))
				if tt.bye == nil {
					require.NoError(t, nc.Close())
				} else {
					writeFrame(t, nc, ws.OpClose, tt.bye)
					f := readFrame(t, nc)
					require.Equal(t, ws.OpClose, f.Header.OpCode)
					code, _ := ws.ParseCloseFrameData(f.Payload)
					assert.Equal(t, tt.code, code)
				}
				reason := <-left
				if tt.want == nil {
					require.NoError(t, reason)
				} else {
					require.ErrorIs(t, reason, tt.want)
				}
			})
		})
	}
}

// dialRaw makes the handshake with s in memory, for who speaks WebSocket themselves.
func dialRaw(tb testing.TB, s *chatroom.Server, opts ...wsroom.Option) net.Conn {
	tb.Helper()
	url, d := startMemory(tb, wsroom.Handler(s, opts...))
	nc, br, _, err := ws.Dialer{NetDial: d.NetDial}.Dial(context.Background(), url)
	require.NoError(tb, err)
	require.Nil(tb, br)
	tb.Cleanup(func() { _ = nc.Close() })
	return nc
}

func writeFrame(tb testing.TB, nc net.Conn, op ws.OpCode, payload []byte) {
	tb.Helper()
	require.NoError(tb, ws.WriteFrame(nc, ws.MaskFrame(ws.NewFrame(op, true, payload))))
}

func readFrame(tb testing.TB, nc net.Conn) ws.Frame {
	tb.Helper()
	f, err := ws.ReadFrame(nc)
	require.NoError(tb, err)
	return f
}

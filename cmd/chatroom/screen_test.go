package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A testScreen is a screen on a terminal in memory.
type testScreen struct {
	*screen
	t     testing.TB
	keys  *io.PipeWriter
	shown *watched
	ended chan error // gets what converse returns
}

// newTestMember returns the connection of alice, who is a member, and her server.
func newTestMember(t testing.TB) (*chatroom.Conn, *chatroom.Server) {
	t.Helper()
	joined := make(chan struct{})
	srv := chatroom.NewServer(chatroom.WithOnJoin(func(context.Context, chatroom.Member) { close(joined) }))
	ours, theirs := net.Pipe()
	go func() { _ = srv.ServeConn(context.Background(), theirs) }()
	conn, err := chatroom.NewConn(t.Context(), ours, "alice")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, srv.Shutdown(context.Background())) })
	<-joined
	return conn, srv
}

// newTestScreen returns a screen whose user is alice and joined to a room, and
// the server of it.
func newTestScreen(t testing.TB) (*testScreen, *chatroom.Server) {
	t.Helper()
	conn, srv := newTestMember(t)
	in, keys := io.Pipe()
	s := &testScreen{t: t, keys: keys, shown: newWatched(t), ended: make(chan error, 1)}
	rw := struct {
		io.Reader
		io.Writer
	}{in, s.shown}
	s.screen = newScreen(rw, "alice", painter{}, func() { t.Error("rescue called without a panic") })
	s.setSize(40)
	go func() { s.ended <- s.converse(t.Context(), conn) }()
	s.shown.await("alice > ")
	t.Cleanup(func() { _ = keys.Close() })
	return s, srv
}

func (s *testScreen) press(keys string) {
	s.t.Helper()
	_, err := io.WriteString(s.keys, keys)
	require.NoError(s.t, err)
}

// TestScreenKeepsWhatIsTyped has a message arrive in the middle of a line.
func TestScreenKeepsWhatIsTyped(t *testing.T) {
	s, srv := newTestScreen(t)
	s.press("half a li")
	s.shown.await("half a li")
	require.NoError(t, srv.Broadcast(context.Background(), "bob", []byte("hello")))
	s.shown.await("bob > hello")
	s.press("ne") // read once the message is shown: the line is drawn again by then
	s.shown.await("half a line")
	_, after, _ := strings.Cut(s.shown.String(), "bob > hello\r\n")
	assert.True(t, strings.HasPrefix(after, "\r"+clipLine+"alice > half a li"), "the line is drawn again below: %q", after)
	s.press("\x03")
	assert.NoError(t, <-s.ended)
}

func TestScreenLeaves(t *testing.T) {
	for _, tt := range []struct{ name, keys string }{
		{"Ctrl-C", "\x03"},
		{"Ctrl-D", "\x04"},
		{"Ctrl-C in a line", "half a li\x03"},
		{"Ctrl-C after Escape", "\x1b\x03"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newTestScreen(t)
			s.press(tt.keys)
			assert.NoError(t, <-s.ended)
		})
	}
}

// TestScreenSends expects what is typed before Ctrl-C to be sent, empty lines
// excepted.
func TestScreenSends(t *testing.T) {
	s, srv := newTestScreen(t)
	s.press("\rone\r\r\x1b[200~two\r\x1b[201~three\r\x03")
	assert.NoError(t, <-s.ended)
	require.NoError(t, srv.Shutdown(t.Context()))
	assert.EqualValues(t, 3, srv.Stats().Messages)
}

func TestScreenServerGoes(t *testing.T) {
	s, srv := newTestScreen(t)
	require.NoError(t, srv.Broadcast(context.Background(), "bob", []byte("bye")))
	require.NoError(t, srv.Shutdown(t.Context()))
	assert.Equal(t, errRoomClosed, <-s.ended)
}

func TestScreenFormat(t *testing.T) {
	tests := []struct {
		name  string
		width int
		from  string
		body  string
		want  string
	}{
		{"plain", 30, "bob", "hello", "bob > hello"},
		{"empty", 30, "bob", "", "bob > "},
		{"lines", 30, "bob", "one\r\ntwo\neve > no", "bob > one\n  | two\n  | eve > no"},
		{"controls", 30, "b\x1bb", "\x1b[2J\rx", `b\x1bb > \x1b[2J\rx`},
		{"folded", 30, "bob", strings.Repeat("x", 24+26+1), "bob > " + strings.Repeat("x", 24) + "\n  | " + strings.Repeat("x", 26) + "\n  | x"},
		{"wide", 30, "bob", strings.Repeat("語", 13), "bob > " + strings.Repeat("語", 12) + "\n  | 語"},
		{"emoji", 30, "bob", strings.Repeat(family, 2), "bob > " + family + "\n  | " + family},
		{"a cluster without end", 10, "bob", "👩" + strings.Repeat("\u200d👩", 2), "bob > \n  | 👩\u200d👩\n  | \u200d👩"},
		{"tab", 30, "bob", "a\tb", `bob > a\tb`},
		{"narrow", 10, "barbara", "hello", "barb… > h\n  | ello"},
		{"long name", 30, strings.Repeat("n", 20), "x", strings.Repeat("n", 14) + "… > x"},
		{"unknown width", 0, strings.Repeat("n", 20), strings.Repeat("x", 200), strings.Repeat("n", 20) + " > " + strings.Repeat("x", 200)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScreen(nil, "alice", painter{}, nil)
			s.width.Store(int32(tt.width))
			assert.Equal(t, tt.want, s.format(chatroom.Message{From: tt.from, Body: []byte(tt.body)}))
		})
	}
}

func TestScreenShowsLog(t *testing.T) {
	s, _ := newTestScreen(t)
	newLogger(s, slog.LevelInfo).Warn("accept failed", "error", "a\x1bb")
	assert.Contains(t, s.shown.await("accept failed"), `* time=`)
	assert.Contains(t, s.shown.String(), `error="a\x1bb"`)
	assert.Equal(t, 1, strings.Count(s.shown.String(), "accept failed"))
	_, err := s.Write([]byte("one\ntwo\n"))
	require.NoError(t, err)
	s.shown.await("* two")
	assert.Contains(t, s.shown.String(), "* one\r\n")
	s.press("\x04")
	assert.NoError(t, <-s.ended)
}

func TestScreenRestoresOnPanic(t *testing.T) {
	rescued := false
	s := newScreen(nil, "alice", painter{}, func() { rescued = true })
	assert.PanicsWithValue(t, "boom", func() {
		defer s.restoreOnPanic()
		panic("boom")
	})
	assert.True(t, rescued)
}

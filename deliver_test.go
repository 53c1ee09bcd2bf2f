package chatroom_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// What is malformed is skipped whole and logged, and nothing else is.
func TestDeliverSkipsWhatIsMalformed(t *testing.T) {
	good := string(message("zoe", "not this one"))
	tests := map[string]struct{ frames, why string }{
		"nothing":           {"", "unexpected EOF"},
		"half a header":     {good + "3    ", "unexpected EOF"},
		"no text":           {good + "3         zoe", "unexpected EOF"},
		"half a text":       {good + "3         zoe5         hel", "unexpected EOF"},
		"no number":         {good + "3         zoe!         ", "bad frame header"},
		"a negative number": {good + "3         zoe-1        ", "bad frame header"},
		"a zero before":     {good + "03        zoe2         hi", "bad frame header"},
		"a space before":    {good + "3         zoe 2        hi", "bad frame header"},
		"a tab after":       {good + "3         zoe2\t        hi", "bad frame header"},
		"a long name":       {good + "101       " + strings.Repeat("x", 101) + "2         hi", "frame too large"},
		"a long text":       {good + "3         zoe101       " + strings.Repeat("x", 101), "frame too large"},
		"a lie":             {good + "3         zoe9999999999", "frame too large"},
	}
	for name, tt := range tests {
		for _, own := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					s := chatroomtest.NewServer(t, chatroom.WithOrder(new(identityOrder)), chatroom.WithMaxMessage(100),
						chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
					alice := s.Join("alice")
					bad := chatroom.Batch{Frames: []byte(tt.frames), Sender: 7}
					all := bad
					all.All = true
					require.NoError(t, s.Deliver(t.Context(), own, bad, batch("zoe", "one"), bad, all, batch("zoe", "two"), batch("", ""), bad))
					alice.Want("zoe", "one")
					alice.Want("zoe", "two")
					alice.Want("", "")
					alice.WantNothing()
					assert.EqualValues(t, 3, s.Stats().Messages)
					assert.Equal(t, 4, strings.Count(log.String(), "level=WARN msg=\"batch skipped\" room=\"\" id=7 own="), log.String())
					assert.Equal(t, 4, strings.Count(log.String(), tt.why), log.String())
				})
			})
		}
	}
}

// A header that lies reserves no memory, even if there is no limit.
func TestDeliverReservesNothing(t *testing.T) {
	s := chatroom.NewServer(chatroom.WithOrder(new(identityOrder)), chatroom.WithMaxMessage(-1))
	lie := chatroom.Batch{Frames: []byte("3         zoe999999999 ")}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, s.Deliver(t.Context(), false, lie))
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	assert.Zero(t, s.Stats().Messages)
}

// Batches for several rooms keep their sequence in each, and what is long is published as
// well.
func TestDeliverToRooms(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithOrder(new(identityOrder)))
		red, blue := s.JoinRoom("red", "r"), s.JoinRoom("blue", "b")
		long := strings.Repeat("x", 50_000)
		var batches []chatroom.Batch
		for _, m := range []struct{ room, body string }{
			{"red", "1"}, {"red", long}, {"red", long}, {"blue", long}, {"*", "2"}, {"*", long}, {"red", "3"}, {"nobody's", "4"}, {"red", "5"}, {"blue", "6"},
		} {
			b := batch("host", m.body)
			if b.Room = m.room; m.room == "*" {
				b.Room, b.All = "", true
			}
			batches = append(batches, b)
		}
		require.NoError(t, s.Deliver(t.Context(), false, batches...))
		for _, body := range []string{"1", long, long, "2", long, "3", "5"} {
			red.Want("host", body)
		}
		for _, body := range []string{long, "2", long, "6"} {
			blue.Want("host", body)
		}
		require.NoError(t, s.Deliver(t.Context(), false))
	})
}

// Deliver waits while a room is held, and publishes what it has not yet published only if
// its context does not end. Rooms that are not held get what is for all rooms.
func TestDeliverWaitsWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithOrder(new(identityOrder)), chatroom.WithBacklog(64<<10), chatroom.WithWriteTimeout(-1))
		s.DialRaw().SendFrame("stalled")
		s.WantMembers("stalled")
		bob := s.JoinRoom("blue", "bob")
		within := func(d time.Duration, batches ...chatroom.Batch) error {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			return s.Deliver(ctx, false, batches...)
		}
		for !s.Stats().Held {
			require.NoError(t, within(time.Second, batch("host", strings.Repeat("x", 1000))))
		}
		before := s.Room("").Stats().Messages
		all := batch("host", "to all")
		all.All = true
		require.Equal(t, context.DeadlineExceeded, within(time.Millisecond, all, batch("host", "late")))
		bob.Want("host", "to all")
		require.Equal(t, before, s.Room("").Stats().Messages)
		require.True(t, s.Stats().Held)
		require.NoError(t, within(time.Minute, all, batch("host", "late")))
		require.Equal(t, before+2, s.Room("").Stats().Messages)
		bob.Want("host", "to all")
		bob.WantNothing()
	})
}

// An order may deliver as soon as it knows its server.
func TestDeliverFromAttach(t *testing.T) {
	o := new(eagerOrder)
	s := chatroomtest.NewServer(t, chatroom.WithOrder(nil), chatroom.WithHistory(1), chatroom.WithOrder(o))
	require.Equal(t, 1, o.attached)
	s.Join("alice").Want("host", "early")
}

type eagerOrder struct {
	identityOrder

	attached int
}

func (o *eagerOrder) Attach(s *chatroom.Server) {
	o.attached++
	o.identityOrder.Attach(s)
	_ = s.Deliver(context.Background(), false, batch("host", "early"))
}

// FuzzDeliver delivers arbitrary frames. They are published byte for byte if they are
// messages as this package writes them, and skipped if not.
func FuzzDeliver(f *testing.F) {
	f.Add([]byte(""), false)
	f.Add(message("zoe", "hello"), true)
	f.Add(append(message("zoe", "hello"), message("", "")...), false)
	f.Add([]byte("3         zoe5         hel"), false)
	f.Add([]byte("3         zoe05        hello"), true)
	f.Add([]byte("3         zoe5         hello3         zoe"), false)
	f.Add([]byte("3         zoe9999999999"), false)
	f.Fuzz(func(t *testing.T, frames []byte, own bool) {
		const limit = 200
		var written []byte
		n := 0
		for r := bytes.NewReader(frames); ; n++ {
			payload, err := chatroom.ReadFrame(r, limit)
			if err != nil {
				break
			}
			written = chatroom.AppendFrame(written, payload)
		}
		var want []byte
		if n > 0 && n%2 == 0 && bytes.Equal(written, frames) {
			want = frames
		}
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithOrder(new(identityOrder)), chatroom.WithMaxMessage(limit))
			sender, raw := s.Join("sender"), s.DialRaw()
			raw.SendFrame("raw")
			s.WantMembers("sender", "raw")
			b := chatroom.Batch{Sender: sender.Member.ID, Frames: bytes.Clone(frames)}
			require.NoError(t, s.Deliver(t.Context(), own, b, batch("host", "still here")))
			clear(b.Frames) // nothing of it is kept
			raw.WantBytes(string(want) + string(message("host", "still here")))
			if own {
				sender.Want("host", "still here")
			}
		})
	})
}

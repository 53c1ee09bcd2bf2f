package natsroom

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

func TestRoomTokens(t *testing.T) {
	seen := make(map[string]string)
	for _, room := range []string{"", "=", "==", "a", "A-z_09", "a.b", "a b", "*", ">", "\x00", "\xff", "é", "=3d", strings.Repeat(".", maxRoomName)} {
		token := escapeRoom(room)
		assert.NotContains(t, token, ".")
		assert.Empty(t, seen[token])
		seen[token] = room
		got, err := unescapeRoom(token)
		require.NoError(t, err)
		assert.Equal(t, room, got)
	}
	for _, token := range []string{"", "==", "=3", "=3D", "=zz", "=61", "a=", "a b", "é"} {
		_, err := unescapeRoom(token)
		assert.ErrorIs(t, err, errBadToken, "%q", token)
	}
}

func TestUnitsOnTheWire(t *testing.T) {
	batches := []chatroom.Batch{
		{Room: "blue", Sender: 7, Frames: []byte("frames")},
		{Room: "", Except: []uint64{1, 2, 1 << 63}, Frames: []byte("")},
		{All: true, Except: []uint64{3}, Frames: []byte("x")},
	}
	var data []byte
	for _, b := range batches {
		data = appendUnit(data, b, true)
	}
	got, err := decodeUnits(nil, data, "", false)
	require.NoError(t, err)
	require.Len(t, got, len(batches))
	for i, b := range batches {
		assert.Equal(t, b.Room, got[i].Room)
		assert.Equal(t, b.All, got[i].All)
		assert.Equal(t, b.Sender, got[i].Sender)
		assert.Equal(t, b.Except, got[i].Except)
		assert.Equal(t, string(b.Frames), string(got[i].Frames))
	}
	for n := range data {
		if _, err := decodeUnits(nil, data[:n], "", false); err == nil { // it ends between two units
			assert.Contains(t, []int{len(appendUnit(nil, batches[0], true)), len(data) - len(appendUnit(nil, batches[2], true))}, n)
		}
	}
	_, err = decodeUnits(nil, data, "blue", true)
	assert.ErrorIs(t, err, errMalformed, "a unit that names its room in the subject of one room")
	one := appendUnit(nil, batches[0], false)
	got, err = decodeUnits(nil, one, "blue", true)
	require.NoError(t, err)
	assert.Equal(t, "blue", got[0].Room)
	_, err = decodeUnits(nil, one, "", false)
	assert.ErrorIs(t, err, errMalformed, "a unit without a room in the subject of several")
}

// Whatever is in the stream, reading it neither panics nor takes memory that it did not bring.
func FuzzDecode(f *testing.F) {
	e := envelope{kindUnits, 1, 1}
	f.Add(e.append(nil), true)
	f.Add(appendUnit(e.append(nil), chatroom.Batch{Room: "r", Sender: 1, Except: []uint64{1, 2}, Frames: []byte("f")}, true), false)
	f.Add(fragment{0, 3, []byte("abc")}.append(envelope{kindFragment, 1, 1}.append(nil)), false)
	f.Add(beat{1, 2, true, false}.append(envelope{kindBeat, 1, 1}.append(nil)), false)
	f.Fuzz(func(t *testing.T, data []byte, hasRoom bool) {
		e, body, err := decodeEnvelope(data)
		if err != nil {
			return
		}
		if e.kind == kindBeat {
			_, _ = decodeBeat(body)
		}
		_, _, _ = decodeMembers(body)
		tracker := newTracker()
		tracker.see(e, time.Time{})
		if part, err := decodeFragment(body); err == nil {
			if unit, ok := tracker.assemble(e, part); ok && unit != nil {
				body = unit
			}
			if tracker.partial > len(data) {
				t.Fatalf("%d bytes are kept of %d", tracker.partial, len(data))
			}
		}
		batches, err := decodeUnits(nil, body, "", hasRoom)
		if err != nil {
			return
		}
		var again []byte
		for _, b := range batches {
			if !slices.IsSorted(b.Except) {
				t.Fatalf("%v do not ascend", b.Except)
			}
			again = appendUnit(again, b, !hasRoom)
		}
		if got, err := decodeUnits(nil, again, "", hasRoom); err != nil || len(got) != len(batches) {
			t.Fatalf("%d batches, %v, where %d were encoded", len(got), err, len(batches))
		}
	})
}

func TestTracker(t *testing.T) {
	tr := newTracker()
	see := func(incarnation, n uint64) verdict { return tr.see(envelope{kindUnits, incarnation, n}, time.Time{}) }
	assert.Equal(t, isNext, see(1, 5), "the first may be any")
	assert.Equal(t, isNext, see(1, 6))
	assert.Equal(t, isNext, see(2, 1), "of another")
	assert.Equal(t, isRepeat, see(1, 6))
	assert.Equal(t, isRepeat, see(1, 2))
	assert.Equal(t, isJump, see(1, 8))
	assert.Equal(t, isRepeat, see(1, 7), "what comes too late")
	assert.Equal(t, isNext, see(1, 9))
	tr.skipped()
	assert.Equal(t, isRepeat, see(1, 9), "also behind a gap")
	assert.Equal(t, isNext, see(1, 20), "any higher one, behind a gap")
	assert.Equal(t, isJump, see(1, 22), "once")
}

func TestTrackerForgets(t *testing.T) {
	tr := newTracker()
	for i := range uint64(maxTracked + 10) {
		tr.see(envelope{kindUnits, i + 1, 1}, time.Time{})
	}
	assert.Len(t, tr.known, maxTracked)
	assert.Equal(t, maxTracked, tr.byAge.Len())
}

func TestFragments(t *testing.T) {
	tr := newTracker()
	add := func(incarnation, n, offset, total uint64, data string) (string, bool) {
		e := envelope{kindFragment, incarnation, n}
		tr.see(e, time.Time{})
		unit, ok := tr.assemble(e, fragment{offset, total, []byte(data)})
		return string(unit), ok
	}
	_, ok := add(1, 1, 0, 4, "ab")
	assert.True(t, ok)
	_, ok = add(2, 1, 0, 3, "x") // of another, between
	assert.True(t, ok)
	unit, ok := add(1, 2, 2, 4, "cd")
	assert.True(t, ok)
	assert.Equal(t, "abcd", unit)
	assert.Equal(t, 1, tr.partial)
	_, ok = add(3, 1, 2, 4, "cd")
	assert.False(t, ok, "an end without a beginning")
	add(4, 1, 0, 4, "a")
	_, ok = add(4, 2, 2, 4, "cd")
	assert.False(t, ok, "something is missing")
	add(5, 1, 0, 4, "ab")
	_, ok = add(5, 3, 2, 4, "cd")
	assert.False(t, ok, "a number is missing")
	add(6, 1, 0, 4, "ab")
	tr.see(envelope{kindUnits, 6, 2}, time.Time{})
	tr.finish()
	assert.Equal(t, 1, tr.partial)
}

func TestHealth(t *testing.T) {
	h := health{hold: 15, outage: 30, spread: 10}
	steps := []struct {
		pass  time.Duration
		state State
		left  float64
	}{{14, InOrder, 0}, {1, Holding, 0}, {14, Holding, 0}, {1, Leaving, 0}, {5, Leaving, 0.5}, {5, Out, 1}, {1000, Out, 1}}
	for range 2 {
		for i, s := range steps {
			h.pass(s.pass)
			assert.Equal(t, s.state, h.state(), "step %d", i)
			assert.InDelta(t, s.left, h.left(), 0.001, "step %d", i)
		}
		h.heard()
		assert.Equal(t, InOrder, h.state())
	}
	patient := health{hold: 15, outage: forever, spread: 10}
	patient.pass(forever / 2)
	assert.Equal(t, Holding, patient.state())
	assert.Zero(t, patient.left())
}

func TestLinger(t *testing.T) {
	assert.Zero(t, lingerFor(0))
	assert.Less(t, lingerFor(3), 50*time.Microsecond)
	assert.Equal(t, 50*time.Millisecond, lingerFor(100))
	assert.Equal(t, 5*time.Second, lingerFor(1000))
}

func TestOutbox(t *testing.T) {
	var b outbox
	add := func(size int) {
		b.add(unit{size: size})
	}
	assert.True(t, b.takes(100, 10), "one, however long")
	add(4)
	assert.True(t, b.takes(6, 10))
	assert.False(t, b.takes(7, 10))
	add(4)
	add(100)
	fly := func(seq uint64, units ...unit) *flight {
		f := &flight{units: len(units), back: func() {}}
		for _, u := range units {
			f.bytes += u.size
		}
		b.start(f)
		f.seq = seq
		return f
	}
	first := b.take(10)
	require.Len(t, first, 2)
	fly(7, first...)
	second := b.take(10)
	require.Len(t, second, 1)
	assert.Empty(t, b.take(10))
	fly(0, second...)
	assert.True(t, b.behind(6))
	assert.False(t, b.behind(7))
	assert.Equal(t, 0, b.skipped(6, true), "nothing of ours")
	assert.Equal(t, 2, b.skipped(7, true), "what is not acknowledged stays")
	assert.Equal(t, 100, b.bytes)
	assert.Zero(t, b.cameBack(2))
	assert.Zero(t, b.bytes)
	assert.EqualValues(t, 3, b.done)
	fly(9, unit{size: 1})
	fly(10, unit{size: 1})
	assert.Equal(t, 1, b.cameBack(4), "what is before it is lost")
	fly(11, unit{size: 1})
	assert.Equal(t, 1, b.skipped(3, false), "in another stream")
}

func TestPeers(t *testing.T) {
	start := time.Unix(1000, 0)
	p := newPeers(15 * time.Second)
	p.tick(start, start)
	came, _ := p.hear(envelope{kindUnits, 1, 1}, nil, start, start)
	assert.False(t, came, "not before its first beat")
	came, _ = p.hear(envelope{kindBeat, 1, 2}, &beat{members: 3}, start, start)
	assert.True(t, came)
	came, _ = p.hear(envelope{kindBeat, 2, 2}, &beat{members: 9}, start.Add(-time.Minute), start)
	assert.False(t, came, "an old beat")
	p.hear(envelope{kindBeat, 3, 2}, &beat{members: 4, pressed: true}, start, start)
	all, pressed := p.members()
	assert.EqualValues(t, 7, all)
	assert.EqualValues(t, 4, pressed)
	p.hear(envelope{kindBeat, 1, 2}, &beat{members: 1}, start.Add(-time.Second), start)
	all, _ = p.members()
	assert.EqualValues(t, 7, all, "a late beat changes nothing")
	p.hear(envelope{kindUnits, 3, 3}, nil, start.Add(10*time.Second), start.Add(10*time.Second))
	assert.Equal(t, []uint64{1}, p.expire(start.Add(16*time.Second)))
	_, gone := p.hear(envelope{kindBeat, 3, 4}, &beat{bye: true}, start, start)
	assert.True(t, gone)
	assert.Empty(t, p.all)
}

// What the engine says of the stream is held against what was read of it.
func TestCompare(t *testing.T) {
	made := time.Unix(1000, 0)
	info := func(created time.Time, first, last uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{Created: created, State: jetstream.StreamState{FirstSeq: first, LastSeq: last}}
	}
	tests := []struct {
		name   string
		info   *jetstream.StreamInfo
		since  time.Time // it has seemed shorter
		isGap  bool
		isErr  bool
		cursor uint64
	}{
		{"all is read", info(made, 1, 100), time.Time{}, false, false, 100},
		{"more follows", info(made, 101, 200), time.Time{}, false, false, 100},
		{"something is missing", info(made, 102, 200), time.Time{}, true, false, 200},
		{"emptied, and all was read", info(made, 101, 100), time.Time{}, false, false, 100},
		{"another stream", info(made.Add(1), 1, 300), time.Time{}, true, false, 300},
		{"shorter, for a moment", info(made, 1, 99), time.Time{}, false, true, 100},
		{"shorter, for good", info(made, 1, 99), time.Now().Add(-time.Hour), true, false, 99},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := chatroom.NewServer()
			defer s.Close()
			o := &Order{server: s, log: slog.New(slog.DiscardHandler), settled: make(chan struct{}), peers: newPeers(time.Minute)}
			o.cfg.rewound, o.reader.shorter = time.Minute, tt.since
			o.reader.tracker = newTracker()
			o.at = position{created: made, cursor: 100}
			assert.Equal(t, tt.isErr, o.compare(tt.info) != nil)
			assert.Equal(t, tt.isGap, o.counts.gaps == 1)
			assert.Equal(t, tt.cursor, o.at.cursor)
			assert.Equal(t, tt.isErr, !o.reader.shorter.IsZero())
		})
	}
}

func TestPressed(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name string
		at   position
		want bool
	}{
		{"at the end", position{cursor: 100, last: 100, first: 1, bytes: 900, maxBytes: 1000, maxAge: time.Hour}, false},
		{"behind by less than half", position{cursor: 60, last: 100, first: 1, bytes: 900, maxBytes: 1000, readAt: now}, false},
		{"behind by more than half", position{cursor: 40, last: 100, first: 1, bytes: 900, maxBytes: 1000, readAt: now}, true},
		{"behind, of little", position{cursor: 0, last: 100, first: 1, bytes: 100, maxBytes: 1000, readAt: now}, false},
		{"behind by more than half an hour", position{cursor: 99, last: 100, first: 1, maxAge: time.Hour, readAt: now.Add(-31 * time.Minute)}, true},
		{"of a stream without limits", position{cursor: 1, last: 100, first: 1, bytes: 1 << 40, maxBytes: -1, readAt: now}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := &Order{at: tt.at, peers: newPeers(time.Minute)}
			o.peers.tick(now, now)
			assert.Equal(t, tt.want, o.pressedLocked())
		})
	}
}

package journal_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom/internal/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readRuns reads all that is published for reader id and returns it run by run.
func readRuns(c *journal.Cursor, id uint64) []string {
	runs, behind := c.Runs(id, make([][]byte, 0, 1000), 1<<30)
	*c = behind
	return texts(runs)
}

func texts(runs [][]byte) []string {
	var all []string
	for _, run := range runs {
		all = append(all, string(run))
	}
	return all
}

func TestAudience(t *testing.T) {
	everyone := journal.Audience(0)
	assert.Equal(t, everyone, journal.Except(0))
	for _, id := range []uint64{1, 2, 65, 1 << 63} {
		assert.True(t, everyone.Includes(id), id)
		assert.Equal(t, id != 1, journal.Except(1).Includes(id), id)
		assert.Equal(t, id == 1, journal.Only(1).Includes(id), id)
	}
}

// What readers 1, 2 and 65, whom chunks cannot tell from 1 at a glance, see of a
// log in chunks of 8 bytes. Each step appends a unit: a word for whom, ":", and
// its text; "|" publishes.
func TestRuns(t *testing.T) {
	tests := []struct {
		name  string
		steps string
		want  map[uint64]string // runs, with a space between them
	}{
		{"nothing", "|", map[uint64]string{1: "", 2: ""}},
		{"not published", "all:a", map[uint64]string{1: ""}},
		{"everyone", "all:a all:b |", map[uint64]string{1: "ab", 2: "ab", 65: "ab"}},
		{"except", "all:a -1:b all:c |", map[uint64]string{1: "a c", 2: "abc", 65: "abc"}},
		{"only", "all:a +1:b all:c |", map[uint64]string{1: "abc", 2: "a c", 65: "a c"}},
		{"except at the beginning", "-1:a all:b |", map[uint64]string{1: "b", 2: "ab", 65: "ab"}},
		{"except at the end", "all:a -1:b |", map[uint64]string{1: "a", 2: "ab", 65: "ab"}},
		{"only the other", "+2:a +65:b |", map[uint64]string{1: "", 2: "a", 65: "b"}},
		{"one span for a batch", "-1:a -1:b -1:c all:d |", map[uint64]string{1: "d", 2: "abcd", 65: "abcd"}},
		{"a span for each batch", "-1:a | -1:b | all:c |", map[uint64]string{1: "c", 2: "abc", 65: "abc"}},
		{"spans of several", "-1:a -2:b -65:c +1:d +2:e |", map[uint64]string{1: "bcd", 2: "a c e", 65: "ab"}},
		{"alternating", "-1:a -2:b -1:c -2:d |", map[uint64]string{1: "b d", 2: "a c", 65: "abcd"}},
		{"the same audience, not in touch", "-1:a all:b -1:c |", map[uint64]string{1: "b", 2: "abc", 65: "abc"}},
		{"except and only of the same", "-1:a +1:b |", map[uint64]string{1: "b", 2: "a", 65: "a"}},
		{"more spans than a list begins with", "-1:a -2:b -1:c -2:d -1:e -2:f -1:g -2:h |",
			map[uint64]string{1: "b d f h", 2: "a c e g", 65: "abcdefgh"}},
		{"a full chunk", "all:12345678 |", map[uint64]string{1: "12345678"}},
		{"two chunks", "all:12345 all:6789 |", map[uint64]string{1: "12345 6789"}},
		{"a span does not go on in the next chunk", "-1:12345 -1:6789 all:a |", map[uint64]string{1: "a", 2: "12345 6789a"}},
		{"longer than a chunk", "all:a all:123456789abc all:d |", map[uint64]string{1: "a 123456789abc d"}},
		{"longer than a chunk, and not for all", "all:a -1:123456789abc all:d |", map[uint64]string{1: "a d", 2: "a 123456789abc d"}},
		{"a chunk of which nothing is", "all:a -1:12345678 -1:12345678 all:d |", map[uint64]string{1: "a d", 65: "a 12345678 12345678 d"}},
		{"a chunk's end is published with the next", "all:12345 all:6789", map[uint64]string{1: "12345"}},
		{"parts", "all:a,,bc -1:d,e |", map[uint64]string{1: "abc", 2: "abcde"}},
		{"empty units", "-1: +1: all: |", map[uint64]string{1: "", 2: ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := journal.New(8)
			start := l.Cursor()
			appended := int64(0)
			for step := range strings.FieldsSeq(tt.steps) {
				if step == "|" {
					l.Publish()
					continue
				}
				audience, text := unit(t, step)
				var parts [][]byte
				for part := range strings.SplitSeq(text, ",") {
					parts = append(parts, []byte(part))
					appended += int64(len(part))
				}
				l.Append(audience, parts...)
			}
			assert.Equal(t, appended, l.End())
			for id, want := range tt.want {
				c := start
				assert.Equal(t, want, strings.Join(readRuns(&c, id), " "), "reader %d", id)
			}
		})
	}
}

// unit splits a step of TestRuns.
func unit(t *testing.T, step string) (a journal.Audience, text string) {
	t.Helper()
	whom, text, _ := strings.Cut(step, ":")
	var sign rune
	var id uint64
	if whom != "all" {
		_, err := fmt.Sscanf(whom, "%c%d", &sign, &id)
		require.NoError(t, err)
	}
	if sign == '+' {
		return journal.Only(id), text
	}
	return journal.Except(id), text
}

func TestPositions(t *testing.T) {
	l := journal.New(8)
	first := l.Cursor()
	assert.True(t, l.Append(journal.Except(0), []byte("12345")), "it is the first")
	assert.True(t, l.Append(journal.Except(1), []byte("6789")), "it does not fit")
	assert.False(t, l.Append(journal.Except(0), []byte("ab")))
	l.Publish()
	second := l.Cursor()
	assert.Equal(t, int64(11), l.End())
	assert.Equal(t, int64(0), first.Pos())
	assert.Equal(t, int64(11), second.Pos())

	dst := make([][]byte, 0, 10)
	runs, behind := first.Runs(1, dst, 100)
	assert.Equal(t, []string{"12345", "ab"}, texts(runs))
	assert.Equal(t, int64(0), first.Pos())
	assert.Equal(t, int64(11), behind.Pos())
	first.Advance(1, 3)
	assert.Equal(t, int64(3), first.Pos())
	runs, _ = first.Runs(1, dst, 100)
	assert.Equal(t, []string{"45", "ab"}, texts(runs))
	rest := first
	rest.Advance(1, 2)
	assert.Equal(t, int64(5), rest.Pos())
	rest.Advance(1, 0)
	assert.Equal(t, int64(5), rest.Pos())
	rest.Advance(1, 1)
	assert.Equal(t, int64(10), rest.Pos(), "it has stepped over what is not for it")
	first.Advance(1, 4)
	assert.Equal(t, behind.Pos(), first.Pos())
	runs, behind = first.Runs(1, dst, 100)
	assert.Empty(t, runs)
	assert.Equal(t, first, behind)
	assert.Equal(t, l.End(), first.Pos())

	l.Append(journal.Only(2), []byte("c"))
	l.Publish()
	runs, behind = first.Runs(1, dst, 100)
	assert.Empty(t, runs)
	assert.Equal(t, l.End(), first.Pos(), "it has stepped over that also at the end")
	assert.Equal(t, l.End(), behind.Pos())
}

func TestNowhere(t *testing.T) {
	var c journal.Cursor
	assert.True(t, c.Nowhere())
	c = journal.New(8).Cursor()
	assert.False(t, c.Nowhere())
}

// The chunks of a log begin small, and grow to the chunk size and no further, but
// for a unit that is longer.
func TestGrowth(t *testing.T) {
	const chunk = 20 << 10
	unit := make([]byte, 1<<10)
	l := journal.New(chunk)
	c := l.Cursor()
	for range 100 {
		l.Append(journal.Audience(0), unit)
	}
	l.Append(journal.Audience(0), make([]byte, 2*chunk))
	for range 30 {
		l.Append(journal.Audience(0), unit)
	}
	l.Publish()
	var sizes []int // in KiB
	for _, run := range readRuns(&c, 1) {
		sizes = append(sizes, len(run)>>10)
	}
	assert.Equal(t, []int{4, 8, 16, 20, 20, 20, 12, 40, 20, 10}, sizes)
}

func TestRunsLimits(t *testing.T) {
	l := journal.New(8)
	start := l.Cursor()
	for i, text := range []string{"ab", "cd", "ef", "gh", "ijklmn", "op", "qr"} {
		l.Append(journal.Except(uint64(i%2)), []byte(text)) // every second is not for reader 1
	}
	l.Publish()
	tests := []struct {
		capacity, most int
		want           []string
		behind         int64
	}{
		{10, 100, []string{"ab", "ef", "ijklmn", "qr"}, 18},
		{4, 100, []string{"ab", "ef", "ijklmn", "qr"}, 18},
		{3, 100, []string{"ab", "ef", "ijklmn"}, 14},
		{1, 100, []string{"ab"}, 2},
		{10, 1, []string{"ab"}, 2},
		{10, 2, []string{"ab"}, 2},
		{10, 3, []string{"ab", "ef"}, 6},
		{10, 5, []string{"ab", "ef", "ijklmn"}, 14},
	}
	for _, tt := range tests {
		c := start
		dst := make([][]byte, 0, tt.capacity)
		runs, behind := c.Runs(1, dst, tt.most)
		assert.Equal(t, tt.want, texts(runs), "%d runs and %d bytes", tt.capacity, tt.most)
		assert.Equal(t, tt.capacity, cap(runs), "it is the same memory")
		assert.Equal(t, tt.behind, behind.Pos(), "%d runs and %d bytes", tt.capacity, tt.most)
		assert.Zero(t, c.Pos())
		assert.Equal(t, []string{"ab", "ef", "ijklmn", "qr"}, append(tt.want, readRuns(&behind, 1)...), "the rest follows")
	}
	c := start
	runs, _ := c.Runs(1, append(make([][]byte, 0, 2), []byte("before")), 100)
	assert.Equal(t, []string{"before", "ab"}, texts(runs))
}

// A chunk that no cursor points to or before is garbage, and one that a cursor
// does is not.
func TestGarbage(t *testing.T) {
	const chunks = 10
	l := journal.New(4 << 10)
	behind, ahead := l.Cursor(), l.Cursor()
	memory := make([]weak.Pointer[byte], chunks)
	for i := range memory {
		l.Append(journal.Except(1), make([]byte, 4<<10))
		l.Publish()
		runs, end := ahead.Runs(2, nil, 1)
		memory[i] = weak.Make(&runs[0][0])
		ahead = end
	}
	kept := func() (kept []int) {
		runtime.GC()
		for i, m := range memory {
			if m.Value() != nil {
				kept = append(kept, i)
			}
		}
		return kept
	}
	assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, kept(), "a cursor is at the beginning")
	behind.Advance(2, 7*4<<10)
	assert.Equal(t, []int{6, 7, 8, 9}, kept(), "it is at the end of the seventh")
	runtime.KeepAlive(behind)
	behind = journal.Cursor{}
	assert.Equal(t, []int{9}, kept(), "there is one at the end")
	assert.Equal(t, int64(chunks*4<<10), ahead.Pos())
	assert.True(t, behind.Nowhere())
	ahead = journal.Cursor{}
	assert.Equal(t, []int{9}, kept(), "there is none")
	assert.True(t, ahead.Nowhere())
	runtime.KeepAlive(l)
}

// What is reclaimed is used again, and nothing else is: not what is behind the
// position, nor what was there before Release, nor before the first call.
func TestReclaim(t *testing.T) {
	const chunk = 64 << 10
	l := journal.New(chunk)
	for range 2 { // the second unit is the first of that size
		l.Append(journal.Audience(0), make([]byte, chunk))
	}
	l.Publish()
	start := l.Cursor()
	append64 := func(b byte) {
		l.Append(journal.Audience(0), bytes.Repeat([]byte{b}, chunk))
		l.Publish()
	}
	// untouched appends to another log, for which memory comes from wherever there is
	// some, and asserts which units are still there.
	untouched := func(from journal.Cursor, want string) {
		t.Helper()
		thief := journal.New(chunk)
		for range 20 {
			thief.Append(journal.Audience(0), bytes.Repeat([]byte{'x'}, chunk))
		}
		var got []byte
		for _, run := range readRuns(&from, 1) {
			got = append(got, run[0])
			assert.Equal(t, chunk, strings.Count(run, run[:1]))
		}
		assert.Equal(t, want, string(got))
	}
	append64('a')
	l.Reclaim(l.End())
	untouched(start, "a")
	append64('b')
	append64('c')
	l.Reclaim(start.Pos())
	untouched(start, "abc")
	start.Advance(1, chunk)
	l.Reclaim(start.Pos() + chunk - 1)
	untouched(start, "bc")
	l.Release()
	append64('d')
	l.Reclaim(l.End())
	l.Reclaim(l.End())
	untouched(start, "bcd")
	append64('e')
	append64('f')
	start.Advance(1, 3*chunk)
	l.Reclaim(start.Pos())
	untouched(start, "ef")

	// A log that is reclaimed all the time needs no memory but for its chunks' heads.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		append64('g')
		l.Reclaim(l.End())
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100*chunk*3), "append64 itself needs as much as its unit")
}

// A log that is warm needs no memory but its chunks.
func TestAppendAllocs(t *testing.T) {
	const appends = 1000
	head, body := []byte("alice"), make([]byte, 100)
	for name, audience := range map[string]journal.Audience{"everyone": 0, "except": journal.Except(1), "only": journal.Only(1)} {
		l := journal.New(64 << 10)
		perRun := testing.AllocsPerRun(20, func() {
			for range appends {
				l.Append(audience, head, body)
				l.Publish()
			}
		})
		assert.Less(t, perRun/appends, 0.1, name)
	}
}

// A unit may be for all but several.
func TestNarrow(t *testing.T) {
	l := journal.New(100)
	start := l.Cursor()
	for _, text := range []string{"a", "b", "c"} {
		l.Append(journal.Except(1), []byte(text))
		l.Narrow(journal.Except(2))
		l.Append(journal.Except(3), []byte(text+" "))
		l.Narrow(journal.Audience(0))
	}
	l.Publish()
	for id, want := range map[uint64]string{1: "a b c ", 2: "a b c ", 3: "abc", 4: "aa bb cc "} {
		c := start
		got, _ := c.Runs(id, make([][]byte, 0, 20), 100)
		assert.Equal(t, want, string(bytes.Join(got, nil)), "reader %d", id)
	}
}

// A cursor at the beginning of a unit reads it and all that follows, also where units
// of one audience before it were joined to it.
func TestLast(t *testing.T) {
	for _, chunk := range []int{4, 10, 100} {
		l := journal.New(chunk)
		var lasts []journal.Cursor
		for i := range 20 {
			l.Append(journal.Except(uint64(i/4%2)), []byte{byte('a' + i)})
			lasts = append(lasts, l.Last())
			if i%3 == 0 {
				l.Publish()
			}
		}
		l.Publish()
		for i, last := range lasts {
			assert.EqualValues(t, i, last.Pos())
			for id := range uint64(2) {
				want := ""
				for j := i; j < 20; j++ {
					if id == 0 || j/4%2 == 0 {
						want += string(rune('a' + j))
					}
				}
				c := last
				got, _ := c.Runs(id+100*(1-id), make([][]byte, 0, 100), 1000)
				assert.Equal(t, want, string(bytes.Join(got, nil)), "chunks of %d, from %d", chunk, i)
			}
		}
	}
}

// RunsTo ends at a position, wherever that is in units and chunks.
func TestRunsTo(t *testing.T) {
	for _, chunk := range []int{5, 12, 100} {
		l := journal.New(chunk)
		start := l.Cursor()
		all := ""
		for i := range 10 {
			text := strings.Repeat(fmt.Sprint(i), 3)
			l.Append(journal.Except(uint64(i%2)*7), []byte(text))
			all += text
		}
		l.Publish()
		for upTo := range len(all) + 2 {
			for _, id := range []uint64{1, 7} {
				want := ""
				for i := range min(upTo, len(all)) {
					if id == 1 || i/3%2 == 0 {
						want += all[i : i+1]
					}
				}
				c := start
				got, after := c.RunsTo(id, make([][]byte, 0, 100), 1000, int64(upTo))
				assert.Equal(t, want, string(bytes.Join(got, nil)), "chunks of %d, up to %d", chunk, upTo)
				again, _ := after.RunsTo(id, make([][]byte, 0, 100), 1000, int64(upTo))
				assert.Empty(t, again)
			}
		}
	}
}

package journal_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/journal"
)

// readerIDs are readers whom chunks tell apart at a glance, and some whom they do
// not.
var readerIDs = []uint64{1, 2, 3, 64, 65, 129, 1<<63 + 1}

// A model is what a log should be: units, one after the other.
type model struct {
	t         *testing.T
	log       *journal.Log
	bytes     []byte
	units     []modelUnit
	published int // units
	readers   []*modelReader
	sizes     int // of units, in bits
	step      int
	seed      string
}

type modelUnit struct {
	from, to int // in bytes
	audience journal.Audience
	first    bool // of a chunk
}

type modelReader struct {
	id  uint64
	cur journal.Cursor
	pos int
}

func newModel(t *testing.T, seed string, chunkSize int) *model {
	return &model{t: t, seed: seed, sizes: 8, log: journal.New(chunkSize)}
}

func (m *model) where() string { return fmt.Sprintf("seed %s, step %d", m.seed, m.step) }

func (m *model) append(a journal.Audience, sizes ...int) {
	var parts [][]byte
	from := len(m.bytes)
	for _, size := range sizes {
		begin := len(m.bytes)
		for range size {
			m.bytes = append(m.bytes, byte(len(m.bytes)*31>>3))
		}
		parts = append(parts, append([]byte(nil), m.bytes[begin:]...))
	}
	grew := m.log.Append(a, parts...)
	if grew {
		m.published = len(m.units) // what was in the chunk before
	}
	m.units = append(m.units, modelUnit{from, len(m.bytes), a, grew})
	for _, p := range parts {
		clear(p) // it is the caller's again
	}
	require.Equal(m.t, int64(len(m.bytes)), m.log.End(), m.where())
}

func (m *model) publish() {
	m.log.Publish()
	m.published = len(m.units)
}

func (m *model) join(id uint64) {
	m.publish()
	r := &modelReader{id: id, cur: m.log.Cursor(), pos: len(m.bytes)}
	require.Equal(m.t, int64(r.pos), r.cur.Pos(), m.where())
	m.readers = append(m.readers, r)
}

// next returns where the next run for a reader at pos begins and ends.
func (m *model) next(id uint64, pos int) (from, to int) {
	units := m.units[:m.published]
	first, _ := slices.BinarySearchFunc(units, pos, func(u modelUnit, pos int) int { return cmp.Compare(u.to, pos) })
	for units = units[first:]; len(units) > 0; units = units[1:] {
		if u := units[0]; u.to > pos && u.from < u.to && u.audience.Includes(id) {
			pos = max(pos, u.from)
			break
		}
		pos = max(pos, units[0].to)
	}
	from, to = pos, pos
	for ; len(units) > 0 && units[0].audience.Includes(id) && (!units[0].first || from >= to); units = units[1:] {
		to = units[0].to
	}
	return from, to
}

// read has r look for runs, and take as many of their bytes as take says of all.
func (m *model) read(r *modelReader, capacity, most int, take func(n int) int) {
	var want []string
	pos, total := r.pos, 0
	for {
		from, to := m.next(r.id, pos)
		if pos = from; len(want) == 0 {
			r.pos = from
		}
		if from == to {
			break
		}
		want, pos, total = append(want, string(m.bytes[from:to])), to, total+to-from
		if len(want) == capacity || total >= most {
			break
		}
	}
	runs, behind := r.cur.Runs(r.id, make([][]byte, 0, capacity), most)
	require.Equal(m.t, want, texts(runs), "reader %d, %s", r.id, m.where())
	require.Equal(m.t, int64(r.pos), r.cur.Pos(), "reader %d, %s", r.id, m.where())
	require.Equal(m.t, int64(pos), behind.Pos(), "reader %d, %s", r.id, m.where())
	n := take(total)
	if n == total {
		r.cur, r.pos = behind, pos
		return
	}
	r.cur.Advance(r.id, n)
	for n > 0 {
		from, to := m.next(r.id, r.pos)
		r.pos = min(to, from+n)
		n -= r.pos - from
	}
	require.Equal(m.t, int64(r.pos), r.cur.Pos(), "reader %d, %s", r.id, m.where())
}

var xs = bytes.Repeat([]byte{'x'}, 64<<10)

// reclaim reclaims what no reader has any use for, and has another log write over
// it.
func (m *model) reclaim() {
	pos := len(m.bytes)
	for _, r := range m.readers {
		pos = min(pos, r.pos)
	}
	m.log.Reclaim(int64(pos))
	thief := journal.New(64 << 10)
	for range 3 {
		thief.Append(journal.Audience(0), xs)
	}
}

// act makes one step. Choose returns a number below n.
func (m *model) act(choose func(n int) int) {
	m.step++
	switch op := choose(16); {
	case op < 7:
		id := readerIDs[choose(len(readerIDs))]
		audience := []journal.Audience{0, journal.Except(id), journal.Except(id), journal.Only(id)}[choose(4)]
		sizes := []int{choose(8), choose(1 << choose(m.sizes))}
		for n := choose(4); n >= 0; n-- { // so that spans are joined
			m.append(audience, sizes...)
		}
	case op == 7 || len(m.readers) == 0:
		m.join(readerIDs[choose(len(readerIDs))])
	case op < 10:
		m.publish()
	case op == 10: // its place is a value
		r := *m.readers[choose(len(m.readers))]
		m.readers = append(m.readers, &r)
	case op == 11 && m.sizes > 8:
		if choose(8) == 0 {
			m.log.Release()
		}
		m.reclaim()
	default:
		m.read(m.readers[choose(len(m.readers))], 1+choose(5), 1+choose(300), func(n int) int { return choose(n + 1) })
	}
	if len(m.readers) > 20 {
		m.readers = m.readers[10:]
	}
}

// finish reads all that is left.
func (m *model) finish() {
	m.publish()
	for _, r := range m.readers {
		m.read(r, 1000, 1<<30, func(n int) int { return n })
		require.Equal(m.t, m.log.End(), r.cur.Pos(), "reader %d, %s", r.id, m.where())
	}
}

// Readers of random logs get exactly what is for them.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		m := newModel(t, fmt.Sprint(seed), 1<<rng.IntN(12))
		for range 150 {
			m.act(rng.IntN)
		}
		m.finish()
	}
}

// The same in chunks of the size that are reclaimed.
func TestModelReclaims(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 2))
		m := newModel(t, fmt.Sprint(seed), 64<<10)
		m.sizes = 13
		for range 300 {
			m.act(rng.IntN)
			if rng.IntN(4) == 0 {
				for _, r := range m.readers { // so that they come after, and there is something to reclaim
					m.read(r, 10, 64<<10, func(n int) int { return n })
				}
			}
		}
		m.finish()
	}
}

func FuzzLog(f *testing.F) {
	f.Add(uint16(8), []byte("\x07\x01\x00\x00\x01\x05\x03\x20\x02\x08\x0c\x00\xff"))
	f.Add(uint16(1), []byte("\x07\x04\x00\x04\x03\x05\x07\x7f\x03\x0b\x00\x02\x90\x0a\x00"))
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 200)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(uint16(1)<<(3*seed), script)
	}
	f.Fuzz(func(t *testing.T, chunkSize uint16, script []byte) {
		m := newModel(t, "of the fuzzer", int(chunkSize))
		script = script[:min(len(script), 1000)]
		for len(script) > 0 {
			m.act(func(n int) int {
				if len(script) == 0 {
					return 0
				}
				b := int(script[0])
				script = script[1:]
				return b % n
			})
		}
		m.finish()
	})
}

// audienceOf is whom the unit of that number is for, in TestConcurrently.
func audienceOf(n uint32) journal.Audience {
	h := n * 2654435761 >> 8
	id := readerIDs[h%uint32(len(readerIDs))]
	switch h >> 8 % 8 {
	case 0, 1, 2:
		return journal.Except(id)
	case 3:
		return journal.Only(id)
	}
	return journal.Audience(0)
}

// Readers read while the log is written. In small chunks they come upon new chunks
// all the time, in large ones upon lists of spans that grow.
func TestConcurrently(t *testing.T) {
	const units, size = 10_000, 12
	for _, chunkSize := range []int{5 * size, 256 << 10} {
		t.Run(fmt.Sprint(chunkSize), func(t *testing.T) {
			l := journal.New(chunkSize)
			var appended atomic.Int64 // bytes that are published
			var reading sync.WaitGroup
			for i, id := range readerIDs {
				cur, rng := l.Cursor(), rand.New(rand.NewPCG(uint64(i), 0))
				reading.Go(func() {
					assert.NoError(t, readNumbered(&cur, id, units*size, size, rng, appended.Load), "reader %d", id)
				})
			}
			unit, rng := make([]byte, size), rand.New(rand.NewPCG(100, 0))
			for n := range uint32(units) {
				binary.BigEndian.PutUint32(unit, n)
				l.Append(audienceOf(n), unit[:4], unit[4:])
				if rng.IntN(3) == 0 || n == units-1 {
					l.Publish()
					appended.Store(l.End())
				}
			}
			reading.Wait()
		})
	}
}

// readNumbered reads as a reader until pos end, and fails if a unit is not the
// next one for id, or is not there although it was published.
func readNumbered(cur *journal.Cursor, id uint64, end, size int, rng *rand.Rand, published func() int64) error {
	var got []byte
	dst := make([][]byte, 0, 4)
	next := uint32(0)
	for cur.Pos() < int64(end) {
		upTo := published()
		runs, behind := cur.Runs(id, dst, 20*size)
		if len(runs) == 0 {
			if pos := cur.Pos(); pos < upTo {
				return fmt.Errorf("at %d of %d there is nothing", pos, upTo)
			}
			runtime.Gosched()
			continue
		}
		all := bytes.Join(runs, nil)
		if n := rng.IntN(2 * len(all)); n < len(all) {
			got = append(got, all[:n]...)
			cur.Advance(id, n)
		} else {
			got = append(got, all...)
			*cur = behind
		}
		for ; len(got) >= size; got = got[size:] {
			for !audienceOf(next).Includes(id) {
				next++
			}
			if n := binary.BigEndian.Uint32(got); n != next {
				return fmt.Errorf("got unit %d, want %d", n, next)
			}
			next++
		}
	}
	for int(next)*size < end && !audienceOf(next).Includes(id) {
		next++
	}
	if int(next)*size != end || len(got) > 0 {
		return fmt.Errorf("at the end, unit %d is next and %d bytes are left", next, len(got))
	}
	return nil
}

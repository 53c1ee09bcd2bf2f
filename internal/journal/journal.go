// Package journal is an append-only log of bytes. Each unit of it has an audience:
// everyone, everyone but one reader, or one reader alone. Any number of cursors read
// it, each from a place of its own, and step over what is not for their reader. It
// knows bytes and positions, nothing of chat.
package journal

import (
	"sync"
	"sync/atomic"
)

// minChunk is the size of a log's first chunk in bytes; each is twice the one
// before it until they reach the log's chunk size.
const minChunk = 4 << 10

// pooledChunk is the size of the chunks that Reclaim keeps, in bytes.
const pooledChunk = 64 << 10

// buffers holds *[pooledChunk]byte.
var buffers = sync.Pool{New: func() any { return new([pooledChunk]byte) }}

// A Log is a sequence of units of bytes in linked chunks. A unit is never split:
// one that does not fit the last chunk starts another, so what a cursor sees is
// always whole units. Positions count the bytes appended, not the room that is
// left over at the end of chunks.
//
// One appender at a time writes it. Cursors read it without a lock, while it is
// appended to. A chunk that no cursor points to or before is garbage.
type Log struct {
	// Fixed after construction.
	chunkSize int // of a full-grown chunk, in bytes

	// The appender owns these.
	end    int64 // position after the last byte
	tail   *chunk
	fill   int    // bytes in tail
	marked int    // marks in tail
	oldest *chunk // the first that Reclaim has not reclaimed; nil unless it is called now and then
}

// New returns an empty log. Its chunks grow to chunkSize bytes, and further only
// for a unit that is longer.
func New(chunkSize int) *Log {
	return &Log{
		chunkSize: chunkSize,
		tail:      &chunk{buf: make([]byte, min(minChunk, chunkSize))},
	}
}

// A chunk is a part of the log. What is published of it never changes again.
type chunk struct {
	base int64 // position of buf[0] in the log
	buf  []byte

	// Published in this order, and read in the opposite one, so that whoever sees
	// bytes also sees their marks.
	named     atomic.Uint64          // a bit for each reader whom some mark may keep from something
	marks     atomic.Pointer[[]mark] // in the order of their beginnings; of its full capacity
	marked    atomic.Int64           // marks[:marked] are published
	published atomic.Int64           // buf[:published] is published
	next      atomic.Pointer[chunk]  // set once all of the above is final
}

// A mark says for whom buf[from:to] of a chunk is, and for whom not.
type mark struct {
	from, to int
	audience Audience
}

// An Audience says for whom something in a log is. The zero value is everyone.
type Audience uint64 // whose, and onlyFlag if it is for this reader alone; else it is for all others

const onlyFlag = 1 << 63

// Except returns the audience of everyone but one reader, or, for zero, of
// everyone. The id of a reader is less than 1<<63.
func Except(id uint64) Audience { return Audience(id) }

// Only returns the audience of one reader alone.
func Only(id uint64) Audience { return Audience(id | onlyFlag) }

// Includes reports whether reader id belongs to a.
func (a Audience) Includes(id uint64) bool {
	return a == 0 || (uint64(a)&^onlyFlag == id) == (a&onlyFlag != 0)
}

// bits returns the bits of a chunk's named that stand for who is not in a.
func (a Audience) bits() uint64 {
	if a&onlyFlag != 0 {
		return ^uint64(0)
	}
	return bit(uint64(a))
}

func bit(id uint64) uint64 { return 1 << (id % 64) }

// End returns the position after the last byte.
func (l *Log) End() int64 { return l.end }

// Append copies one unit, given in parts, to the end of the log, and reports
// whether that took another chunk. Cursors see it after Publish, or when a later unit
// takes another chunk.
func (l *Log) Append(a Audience, parts ...[]byte) (grew bool) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if l.fill+size > len(l.tail.buf) {
		l.grow(size)
		grew = true
	}
	from := l.fill
	for _, p := range parts {
		l.fill += copy(l.tail.buf[l.fill:], p)
	}
	l.end += int64(size)
	if a != 0 {
		l.mark(mark{from, l.fill, a})
	}
	return grew
}

// grow adds a chunk that holds size bytes.
func (l *Log) grow(size int) {
	next := &chunk{base: l.end}
	if size = max(size, min(2*len(l.tail.buf), l.chunkSize)); size == pooledChunk {
		next.buf = buffers.Get().(*[pooledChunk]byte)[:]
	} else {
		next.buf = make([]byte, size)
	}
	l.Publish()
	l.tail.next.Store(next)
	l.tail, l.fill, l.marked = next, 0, 0
}

// mark adds m to the tail, or to the last mark there if that is of the same
// audience, ends where m begins, and has not been published.
func (l *Log) mark(m mark) {
	var marks []mark
	if p := l.tail.marks.Load(); p != nil {
		marks = *p
	}
	if n := l.marked; n > int(l.tail.marked.Load()) && marks[n-1].to == m.from && marks[n-1].audience == m.audience {
		marks[n-1].to = m.to
		return
	}
	if l.marked == len(marks) {
		grown := make([]mark, max(8, 2*len(marks)))
		copy(grown, marks)
		marks = grown
		l.tail.marks.Store(&grown)
	}
	marks[l.marked] = m
	l.marked++
	if bits := m.audience.bits(); l.tail.named.Load()&bits != bits {
		l.tail.named.Or(bits)
	}
}

// Reclaim puts the chunks before pos to use again: fresh memory costs more than what
// is written to it. No cursor may be in them, and nobody may hold their bytes. The
// first call, and the first after a Release, only notes where to begin. The appender
// calls it.
func (l *Log) Reclaim(pos int64) {
	for c := l.oldest; c != nil && c != l.tail && c.base+c.published.Load() <= pos; c = c.next.Load() {
		if len(c.buf) == pooledChunk {
			buffers.Put((*[pooledChunk]byte)(c.buf))
		}
		l.oldest = c.next.Load()
	}
	if l.oldest == nil {
		l.oldest = l.tail
	}
}

// Release says that what has been appended is not going to be reclaimed: it is
// garbage when no cursor points to it or before it any more.
func (l *Log) Release() { l.oldest = nil }

// Publish shows cursors all that was appended.
func (l *Log) Publish() {
	l.tail.marked.Store(int64(l.marked))
	l.tail.published.Store(int64(l.fill))
}

// Cursor returns a cursor at the end of the log, all of which must be published.
func (l *Log) Cursor() Cursor { return Cursor{chunk: l.tail, off: l.fill, mark: l.marked} }

// A Cursor is a place in a Log. It keeps alive the chunk it is in and all after
// it. The zero Cursor is nowhere, and only to be assigned to. It is used by one
// goroutine at a time.
type Cursor struct {
	chunk *chunk
	off   int
	mark  int // marks before it do not concern what is from off on
}

// Pos returns the cursor's position in the log.
func (c *Cursor) Pos() int64 { return c.chunk.base + int64(c.off) }

// Runs appends the next runs of bytes for reader id to dst, one at least unless
// there is none, until dst is full or they are most bytes. It also returns the cursor
// after them, and moves c over what is not for id. A cursor is used with one id.
func (c *Cursor) Runs(id uint64, dst [][]byte, most int) (runs [][]byte, after Cursor) {
	run := c.next(id)
	after = *c
	for len(run) > 0 {
		dst = append(dst, run)
		after.off += len(run)
		if most -= len(run); most <= 0 || len(dst) == cap(dst) {
			break
		}
		run = after.next(id)
	}
	return dst, after
}

// Advance moves the cursor by n bytes of the runs for reader id.
func (c *Cursor) Advance(id uint64, n int) {
	for n > 0 {
		step := min(n, len(c.next(id)))
		c.off += step
		n -= step
	}
}

// next moves the cursor over what is not for reader id, and returns the longest
// run of bytes there that is.
func (c *Cursor) next(id uint64) (run []byte) {
	for {
		next := c.chunk.next.Load() // before published, which is final if there is a next
		n := int(c.chunk.published.Load())
		if end := c.stepOver(id, n); c.off < end {
			return c.chunk.buf[c.off:end]
		}
		if next == nil {
			return nil
		}
		*c = Cursor{chunk: next}
	}
}

// stepOver moves the cursor over what is not for reader id in buf[:n], and returns
// where, from there, that which is for id ends.
func (c *Cursor) stepOver(id uint64, n int) (end int) {
	if c.chunk.named.Load()&bit(id) == 0 {
		return n
	}
	marked := int(c.chunk.marked.Load()) // before marks, which has room for as many
	for marks := *c.chunk.marks.Load(); c.mark < marked; c.mark++ {
		m := &marks[c.mark]
		switch {
		case m.from >= n:
			return n
		case m.audience.Includes(id):
		case m.from > c.off:
			return m.from
		default:
			c.off = max(c.off, m.to)
		}
	}
	return n
}

// Package journal is an append-only log of bytes. Each unit of it has an audience:
// everyone, everyone but one reader, or one reader alone. Any number of cursors read
// it, each from a place of its own, and skip what is not for their reader.
package journal

import (
	"math"
	"sync"
	"sync/atomic"
)

// minChunk is the size of a log's first chunk in bytes; each is twice the one
// before it until they reach the log's chunk size.
const minChunk = 4 << 10

// pooledChunk is the size of the chunks that Reclaim keeps, in bytes.
const pooledChunk = 64 << 10

// minSpans is for how many spans a chunk gets memory at first.
const minSpans = 8

// buffers holds *[pooledChunk]byte.
var buffers = sync.Pool{New: func() any { return new([pooledChunk]byte) }}

// A Log is a sequence of units of bytes in linked chunks. A unit is never split: one
// that does not fit the last chunk starts another. Positions count the bytes
// appended, not the space that is left over at the end of chunks.
//
// One goroutine at a time, the appender, calls the methods of a Log. Cursors read it
// meanwhile, without a lock. A chunk is garbage once no cursor is in it or before it.
type Log struct {
	// Fixed after construction.
	chunkSize int // of a full-grown chunk, in bytes

	// Owned by the appender.
	end    int64 // position after the last byte
	tail   *chunk
	fill   int    // bytes in tail
	last   Cursor // where the unit appended last begins
	oldest *chunk // the first that Reclaim has not reclaimed; nil if it has not noted one

	spans, lastSpans int // in tail, and in the chunk before it, which has about as many
}

// New returns an empty log, which takes next to no memory. Its chunks grow to chunkSize
// bytes, and further only for a unit that is longer.
func New(chunkSize int) *Log {
	return &Log{chunkSize: chunkSize, tail: &chunk{}}
}

// A chunk is a part of the log. What is published of it never changes again.
type chunk struct {
	base int64 // position of buf[0] in the log
	buf  []byte

	// Published in this order and read in the opposite one, so that a cursor that
	// sees bytes also sees their spans.
	excluded       atomic.Uint64          // a bit for each reader whom some span may exclude
	spans          atomic.Pointer[[]span] // in the order of their beginnings; as long as its capacity
	publishedSpans atomic.Int64
	published      atomic.Int64          // bytes
	next           atomic.Pointer[chunk] // set once all of the above is final
}

// A span is a part of a chunk, buf[from:to], that is not for everyone.
type span struct {
	from, to int
	audience Audience
}

// An Audience says for whom a unit of a log is. The zero value is everyone.
type Audience uint64 // the id of the one excluded or, with onlyFlag, of the one included

const onlyFlag = 1 << 63

// Except returns the audience of everyone but one reader. The id of a reader is not
// zero, for which the audience is everyone, and less than 1<<63.
func Except(id uint64) Audience { return Audience(id) }

// Only returns the audience of one reader alone.
func Only(id uint64) Audience { return Audience(id | onlyFlag) }

// Includes reports whether reader id belongs to a.
func (a Audience) Includes(id uint64) bool {
	return a == 0 || (uint64(a)&^onlyFlag == id) == (a&onlyFlag != 0)
}

// IsOnly reports whether a is of one reader alone.
func (a Audience) IsOnly() bool { return a&onlyFlag != 0 }

// excluded returns the bits of chunk.excluded for the readers not in a.
func (a Audience) excluded() uint64 {
	if a&onlyFlag != 0 {
		return ^uint64(0)
	}
	return bit(uint64(a))
}

// bit returns the bit of a reader in chunk.excluded.
func bit(id uint64) uint64 { return 1 << (id % 64) }

// End returns the position after the last byte.
func (l *Log) End() int64 { return l.end }

// Append copies one unit, given in parts, to the end of the log, and reports whether
// that took another chunk. Cursors see the unit after Publish, or once a later unit
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
	l.last = l.Cursor()
	for _, p := range parts {
		l.fill += copy(l.tail.buf[l.fill:], p)
	}
	l.end += int64(size)
	l.Narrow(a)
	return grew
}

// Narrow leaves those whom a does not include out of the audience of the unit appended
// last. It must be called before that is published.
func (l *Log) Narrow(a Audience) {
	if a != 0 {
		l.addSpan(span{l.last.off, l.fill, a})
	}
}

// grow adds a chunk that holds size bytes.
func (l *Log) grow(size int) {
	c := &chunk{base: l.end}
	if size = max(size, min(max(2*len(l.tail.buf), minChunk), l.chunkSize)); size == pooledChunk {
		c.buf = buffers.Get().(*[pooledChunk]byte)[:]
	} else {
		c.buf = make([]byte, size)
	}
	l.Publish()
	l.tail.next.Store(c)
	l.tail, l.fill, l.spans, l.lastSpans = c, 0, 0, l.spans
}

// addSpan adds s to the tail, or joins it to the last span there if that is for the
// same audience, ends where s begins, and has not been published.
func (l *Log) addSpan(s span) {
	var spans []span
	if p := l.tail.spans.Load(); p != nil {
		spans = *p
	}
	if n := l.spans; n > int(l.tail.publishedSpans.Load()) && spans[n-1].to == s.from && spans[n-1].audience == s.audience {
		spans[n-1].to = s.to
		l.last.span = min(l.last.span, n-1)
		return
	}
	if l.spans == len(spans) {
		grown := make([]span, max(minSpans, 2*len(spans), l.lastSpans))
		copy(grown, spans)
		spans = grown
		l.tail.spans.Store(&grown)
	}
	spans[l.spans] = s
	l.spans++
	if bits := s.audience.excluded(); l.tail.excluded.Load()&bits != bits {
		l.tail.excluded.Or(bits)
	}
}

// Reclaim lets the memory of the chunks before pos be used again, since fresh memory
// costs more than writing to it. No cursor may be in them, and nobody may hold their
// bytes. The first call, and the first after a Release, only notes where to begin.
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

// Release leaves all chunks so far to the garbage collector.
func (l *Log) Release() { l.oldest = nil }

// Publish shows cursors all that was appended.
func (l *Log) Publish() {
	l.tail.publishedSpans.Store(int64(l.spans))
	l.tail.published.Store(int64(l.fill))
}

// Cursor returns a cursor at the end of the log, all of which must be published.
func (l *Log) Cursor() Cursor { return Cursor{chunk: l.tail, off: l.fill, span: l.spans} }

// Last returns a cursor at the beginning of the unit appended last, which must be
// published before the cursor is used.
func (l *Log) Last() Cursor { return l.last }

// A Cursor is one reader's place in a Log. It keeps alive the chunk it is in and all
// after it. The zero Cursor is nowhere, and only to be assigned to. One goroutine at
// a time uses a Cursor, always with the same reader's id.
type Cursor struct {
	chunk *chunk
	off   int
	span  int // index of the first span of the chunk that may end after off
}

// Pos returns the cursor's position in the log.
func (c *Cursor) Pos() int64 { return c.chunk.base + int64(c.off) }

// Runs appends the next runs of bytes for reader id to dst, which must have room,
// until dst is full, they are most bytes, or there are no more. It also returns the
// cursor after them. It moves c only over what is not for id.
func (c *Cursor) Runs(id uint64, dst [][]byte, most int) (runs [][]byte, after Cursor) {
	return c.RunsTo(id, dst, most, math.MaxInt64)
}

// RunsTo is Runs up to a position.
func (c *Cursor) RunsTo(id uint64, dst [][]byte, most int, upTo int64) (runs [][]byte, after Cursor) {
	run := c.nextRun(id, upTo)
	after = *c
	for len(run) > 0 {
		dst = append(dst, run)
		after.off += len(run)
		if most -= len(run); most <= 0 || len(dst) == cap(dst) {
			break
		}
		run = after.nextRun(id, upTo)
	}
	return dst, after
}

// Advance moves the cursor by n bytes of the runs for reader id.
func (c *Cursor) Advance(id uint64, n int) {
	for n > 0 {
		step := min(n, len(c.nextRun(id, math.MaxInt64)))
		c.off += step
		n -= step
	}
}

// nextRun moves the cursor over what is not for reader id, and returns the longest
// run of bytes there that is, up to a position.
func (c *Cursor) nextRun(id uint64, upTo int64) (run []byte) {
	for {
		next := c.chunk.next.Load() // before published, which is final if there is a next
		n := int(min(c.chunk.published.Load(), max(upTo-c.chunk.base, 0)))
		if end := c.skip(id, n); c.off < end {
			return c.chunk.buf[c.off:end]
		}
		if next == nil || next.base >= upTo {
			return nil
		}
		*c = Cursor{chunk: next}
	}
}

// skip moves the cursor over what is not for reader id in buf[:n], and returns the
// end of the run there.
func (c *Cursor) skip(id uint64, n int) (end int) {
	if c.chunk.excluded.Load()&bit(id) == 0 {
		return n
	}
	published := int(c.chunk.publishedSpans.Load()) // before spans, which has room for as many
	for spans := *c.chunk.spans.Load(); c.span < published; c.span++ {
		s := &spans[c.span]
		switch {
		case s.from >= n:
			return n
		case s.audience.Includes(id):
		case s.from > c.off:
			return s.from
		default:
			c.off = max(c.off, s.to)
		}
	}
	return n
}

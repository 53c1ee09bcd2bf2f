package chatroom

import "sync/atomic"

// minChunk is the size of a log's first chunk in bytes; each is twice the one
// before it until they reach the log's chunkSize.
const minChunk = 4 << 10

// A chunkLog is an append-only sequence of units of bytes in linked chunks. A
// unit is never split: one that does not fit the last chunk starts another, so
// what a cursor sees is always whole units. Positions count the bytes appended,
// not the room that is left over at the end of chunks.
//
// One appender at a time writes it; any number of cursors read it, without a
// lock. A chunk that no cursor points to or before is garbage.
type chunkLog struct {
	chunkSize int // of a full-grown chunk, in bytes

	// Owned by the appender.
	end  int64  // position after the last byte
	tail *chunk // nil until the first cursor
	fill int    // bytes in tail
}

type chunk struct {
	base      int64 // position of buf[0] in the log
	buf       []byte
	published atomic.Int64          // buf[:published] never changes again
	next      atomic.Pointer[chunk] // set once published is final
}

// append copies one unit, given in parts, to the end of the log, where a cursor
// has been before, and reports whether that took another chunk. Cursors may see it
// from now on, and do see it after publish.
func (l *chunkLog) append(parts ...[]byte) (grew bool) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if l.fill+size > len(l.tail.buf) {
		l.grow(size)
		grew = true
	}
	for _, p := range parts {
		l.fill += copy(l.tail.buf[l.fill:], p)
	}
	l.end += int64(size)
	return grew
}

// grow adds a chunk that holds size bytes.
func (l *chunkLog) grow(size int) {
	next := &chunk{
		base: l.end,
		buf:  make([]byte, max(size, min(2*len(l.tail.buf), l.chunkSize))),
	}
	l.publish()
	l.tail.next.Store(next)
	l.tail, l.fill = next, 0
}

// publish shows cursors all that was appended.
func (l *chunkLog) publish() { l.tail.published.Store(int64(l.fill)) }

// cursor returns a cursor at the end of the log.
func (l *chunkLog) cursor() cursor {
	if l.tail == nil {
		l.tail = &chunk{buf: make([]byte, min(minChunk, l.chunkSize))}
	}
	return cursor{chunk: l.tail, off: l.fill}
}

// A cursor is a place in a chunkLog. It keeps alive the chunk it is in and all
// after it. The zero cursor is nowhere. A cursor is used by one goroutine at a
// time.
type cursor struct {
	chunk *chunk
	off   int
}

func (c *cursor) pos() int64 { return c.chunk.base + int64(c.off) }

// peek returns the published bytes from the cursor to the end of a chunk, and
// whether there is another chunk behind it. It is empty at the end of what is
// published.
func (c *cursor) peek() (run []byte, more bool) {
	for {
		next := c.chunk.next.Load() // before published, which is final if there is a next
		if n := int(c.chunk.published.Load()); c.off < n {
			return c.chunk.buf[c.off:n], next != nil
		}
		if next == nil {
			return nil, false
		}
		c.chunk, c.off = next, 0
	}
}

// advance moves the cursor by n bytes, all of them published.
func (c *cursor) advance(n int64) {
	for n > 0 {
		run, _ := c.peek()
		step := min(n, int64(len(run)))
		c.off += int(step)
		n -= step
	}
}

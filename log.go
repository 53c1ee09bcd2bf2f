package chatroom

import "sync/atomic"

// minChunk is the size of a log's first chunk in bytes; each is twice the one
// before it until they reach the log's chunkSize.
const minChunk = 4 << 10

// A chunkLog is an append-only sequence of bytes in linked chunks. One appender
// at a time writes it; any number of cursors read what is published, without a
// lock. A chunk that no cursor points to or before is garbage.
type chunkLog struct {
	chunkSize int // of a full-grown chunk, in bytes

	// Owned by the appender.
	end   int64  // position after the last byte
	tail  *chunk // nil until the first append
	dirty *chunk // first chunk that holds bytes not yet published
	fill  int    // bytes in tail
}

type chunk struct {
	base      int64 // position of buf[0] in the log
	buf       []byte
	published atomic.Int64          // buf[:published] never changes again
	next      atomic.Pointer[chunk] // set once buf is full
}

// append copies p to the end of the log, and reports whether it added a chunk.
// Cursors do not see p until publish.
func (l *chunkLog) append(p []byte) (grew bool) {
	if l.tail == nil {
		l.start()
	}
	for {
		n := copy(l.tail.buf[l.fill:], p)
		l.fill += n
		l.end += int64(n)
		p = p[n:]
		if len(p) == 0 {
			return grew
		}
		next := &chunk{
			base: l.end,
			buf:  make([]byte, min(2*len(l.tail.buf), l.chunkSize)),
		}
		l.tail.next.Store(next)
		l.tail, l.fill = next, 0
		grew = true
	}
}

// start adds the first chunk.
func (l *chunkLog) start() {
	l.tail = &chunk{buf: make([]byte, min(minChunk, l.chunkSize))}
	l.dirty = l.tail
}

// publish shows cursors all that was appended.
func (l *chunkLog) publish() {
	for ; l.dirty != l.tail; l.dirty = l.dirty.next.Load() {
		l.dirty.published.Store(int64(len(l.dirty.buf)))
	}
	l.tail.published.Store(int64(l.fill))
}

// cursor returns a cursor at the end of the log.
func (l *chunkLog) cursor() cursor {
	if l.tail == nil {
		l.start()
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

// peek returns the published bytes from the cursor to the end of a chunk. It is
// empty at the end of what is published.
func (c *cursor) peek() []byte {
	for {
		if n := int(c.chunk.published.Load()); c.off < n {
			return c.chunk.buf[c.off:n]
		}
		next := c.chunk.next.Load()
		if next == nil || c.off < len(c.chunk.buf) {
			return nil
		}
		c.chunk, c.off = next, 0
	}
}

// fillsChunk reports whether run, what peek returned, ends its chunk, so that
// more may follow in the next.
func (c *cursor) fillsChunk(run []byte) bool {
	return len(run) > 0 && c.off+len(run) == len(c.chunk.buf)
}

// advance moves the cursor by n bytes, all of them published.
func (c *cursor) advance(n int64) {
	for n > 0 {
		step := min(n, int64(len(c.peek())))
		c.off += int(step)
		n -= step
	}
}

package natsroom

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"example.com/chatroom"
)

// A unit is a batch on its way.
type unit struct {
	chatroom.Batch
	size int // in bytes, as it is counted
}

// newUnit returns a copy of b, or why it cannot be published.
func newUnit(b chatroom.Batch) (unit, error) {
	if len(b.Room) > maxRoomName {
		return unit{}, fmt.Errorf("natsroom: room name of %d bytes, the limit is %d: %w", len(b.Room), maxRoomName, chatroom.ErrUnavailable)
	}
	b.Except = slices.Clone(b.Except)
	b.Frames = bytes.Clone(b.Frames)
	size := unitOverhead(b) + len(b.Room) + len(b.Frames)
	if size > maxUnit {
		return unit{}, fmt.Errorf("natsroom: %d bytes, the limit is %d: %w", size, maxUnit, chatroom.ErrUnavailable)
	}
	return unit{b, size}, nil
}

// A flight is a message on its way to the stream and back.
type flight struct {
	n     uint64
	units int    // that are done when it has come back
	bytes int    // of those units
	seq   uint64 // its sequence in the stream, once that is known
	back  context.CancelFunc
}

// An outbox holds what was submitted and has not come back.
type outbox struct {
	queue []unit    // not published yet
	way   []*flight // published, in order
	lastN uint64    // the number of the last message published

	bytes       int    // of units that are queued or on their way
	added, done uint64 // units
}

// takes reports whether a unit of that size may be added. One is taken, however long.
func (b *outbox) takes(size, limit int) bool { return b.bytes == 0 || b.bytes+size <= limit }

func (b *outbox) add(u unit) {
	b.queue = append(b.queue, u)
	b.bytes += u.size
	b.added++
}

// take returns the units to publish next: as many as fit into a message of that size, but at
// least one.
func (b *outbox) take(limit int) []unit {
	n, size := 0, 0
	for n < len(b.queue) && (n == 0 || size+b.queue[n].size <= limit) {
		size += b.queue[n].size
		n++
	}
	taken := slices.Clone(b.queue[:n])
	b.queue = slices.Delete(b.queue, 0, n)
	return taken
}

// start gives a message its number, and has it on its way.
func (b *outbox) start(f *flight) {
	b.lastN++
	f.n = b.lastN
	b.way = append(b.way, f)
}

// cameBack tells that message n has come back. It returns how many units before it are lost.
func (b *outbox) cameBack(n uint64) (lost int) {
	for len(b.way) > 0 && b.way[0].n <= n {
		if f := b.way[0]; f.n < n {
			lost += f.units
		}
		b.finishFirst()
	}
	return lost
}

// skipped tells that the reader goes on behind seq, in the same stream or in another one. It
// returns how many units are lost to the reader.
func (b *outbox) skipped(seq uint64, sameStream bool) (lost int) {
	for len(b.way) > 0 {
		if f := b.way[0]; f.seq == 0 || sameStream && f.seq > seq {
			break
		}
		lost += b.way[0].units
		b.finishFirst()
	}
	return lost
}

// behind reports whether the stream has messages of ours beyond the cursor.
func (b *outbox) behind(cursor uint64) bool { return len(b.way) > 0 && b.way[0].seq > cursor }

func (b *outbox) finishFirst() {
	f := b.way[0]
	f.back()
	b.bytes -= f.bytes
	b.done += uint64(f.units)
	b.way = slices.Delete(b.way, 0, 1)
}

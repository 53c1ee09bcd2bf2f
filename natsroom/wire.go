package natsroom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"example.com/chatroom"
)

// wireVersion is the first byte of every message in the stream. Servers skip messages of a
// version that they do not know.
const wireVersion = 1

// The kinds of messages in the stream.
const (
	kindUnits    = 'u' // whole units
	kindFragment = 'f' // a part of a unit that is too long for one message
	kindBeat     = 'b'
)

// The flags of a unit.
const (
	flagAll   = 1 << iota // it is for all rooms
	flagNamed             // the room's name stands in the unit, and not in the subject
)

var errMalformed = errors.New("natsroom: malformed message")

func malformed(what string) error { return fmt.Errorf("%w: %s", errMalformed, what) }

// An envelope is what every message in the stream begins with: who has published it, and as
// which of its messages.
type envelope struct {
	kind        byte
	incarnation uint64 // random, chosen when an order is opened
	n           uint64 // from 1, consecutive
}

const envelopeLen = 1 + 1 + 8 + 8

func (e envelope) append(dst []byte) []byte {
	dst = append(dst, wireVersion, e.kind)
	dst = binary.BigEndian.AppendUint64(dst, e.incarnation)
	return binary.BigEndian.AppendUint64(dst, e.n)
}

// decodeEnvelope returns also what follows the envelope.
func decodeEnvelope(data []byte) (e envelope, rest []byte, err error) {
	if len(data) < envelopeLen {
		return e, nil, malformed("envelope cut short")
	}
	if data[0] != wireVersion {
		return e, nil, malformed(fmt.Sprintf("version %d", data[0]))
	}
	e = envelope{data[1], binary.BigEndian.Uint64(data[2:]), binary.BigEndian.Uint64(data[10:])}
	if e.n == 0 {
		return e, nil, malformed("number 0")
	}
	return e, data[envelopeLen:], nil
}

// appendUnit appends b as a unit. If it is named, its room's name is part of it.
func appendUnit(dst []byte, b chatroom.Batch, named bool) []byte {
	var flags byte
	if b.All {
		flags |= flagAll
	}
	if named = named && !b.All; named {
		flags |= flagNamed
	}
	dst = append(dst, flags)
	if named {
		dst = binary.AppendUvarint(dst, uint64(len(b.Room)))
		dst = append(dst, b.Room...)
	}
	dst = binary.AppendUvarint(dst, b.Sender)
	dst = binary.AppendUvarint(dst, uint64(len(b.Except)))
	var last uint64
	for _, id := range b.Except {
		dst = binary.AppendUvarint(dst, id-last) // they ascend
		last = id
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Frames)))
	return append(dst, b.Frames...)
}

// unitOverhead is how many bytes a unit has at most besides its room's name and its frames.
func unitOverhead(b chatroom.Batch) int { return 1 + (4+len(b.Except))*binary.MaxVarintLen64 }

// decodeUnits appends the units in data to batches. The room is the subject's; without one
// each unit must be for all rooms or name its own. The batches share data's memory.
func decodeUnits(batches []chatroom.Batch, data []byte, room string, hasRoom bool) ([]chatroom.Batch, error) {
	r := wireReader{data: data}
	for len(r.data) > 0 {
		flags := r.byte()
		b := chatroom.Batch{Room: room, All: flags&flagAll != 0}
		named := flags&flagNamed != 0
		switch {
		case flags&^(flagAll|flagNamed) != 0:
			return batches, malformed("unknown flags")
		case hasRoom && (b.All || named), !hasRoom && b.All == named:
			return batches, malformed("unit not of its subject")
		}
		if named {
			b.Room = string(r.bytes(maxRoomName))
		}
		b.Sender = r.uvarint()
		count := r.uvarint()
		if count > uint64(len(r.data)) { // each takes a byte at least
			return batches, malformed("count of exceptions")
		}
		var last uint64
		for range count {
			step := r.uvarint()
			if step == 0 || last > math.MaxUint64-step {
				return batches, malformed("exceptions do not ascend")
			}
			last += step
			b.Except = append(b.Except, last)
		}
		b.Frames = r.bytes(math.MaxInt)
		if r.failed {
			return batches, malformed("unit cut short")
		}
		batches = append(batches, b)
	}
	if len(batches) == 0 {
		return batches, malformed("no units")
	}
	return batches, nil
}

// A fragment is a part of an encoded unit.
type fragment struct {
	offset, total uint64 // in bytes, of the unit
	data          []byte
}

func (f fragment) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, f.offset)
	dst = binary.AppendUvarint(dst, f.total)
	return append(dst, f.data...)
}

func decodeFragment(data []byte) (fragment, error) {
	r := wireReader{data: data}
	f := fragment{offset: r.uvarint(), total: r.uvarint()}
	f.data = r.data
	left := f.total - f.offset
	if r.failed || f.offset >= f.total || f.total > maxUnit || len(f.data) == 0 || uint64(len(f.data)) > left {
		return f, malformed("fragment")
	}
	return f, nil
}

// A beat tells the others, and whoever sends it, that a server is in order.
type beat struct {
	members uint64 // how many it has
	behind  uint64 // how many messages of the stream it had not read
	pressed bool   // it is so far behind that the others should wait
	bye     bool   // it is its last
}

const (
	beatPressed = 1 << iota
	beatBye
)

func (b beat) append(dst []byte) []byte {
	var flags byte
	if b.pressed {
		flags |= beatPressed
	}
	if b.bye {
		flags |= beatBye
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, b.members)
	return binary.AppendUvarint(dst, b.behind)
}

func decodeBeat(data []byte) (beat, error) {
	r := wireReader{data: data}
	flags := r.byte()
	b := beat{r.uvarint(), r.uvarint(), flags&beatPressed != 0, flags&beatBye != 0}
	if r.failed || b.members > math.MaxInt32 {
		return b, malformed("beat")
	}
	return b, nil
}

// A wireReader takes values from the front of data. When there is too little it fails, and
// returns zeros from then on.
type wireReader struct {
	data   []byte
	failed bool
}

func (r *wireReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *wireReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.data = r.data[n:]
	return v
}

// bytes returns as many bytes as the number before them says.
func (r *wireReader) bytes(most int) []byte {
	n := r.uvarint()
	if n > uint64(most) || n > uint64(len(r.data)) {
		r.fail()
		return nil
	}
	return r.take(int(n))
}

func (r *wireReader) take(n int) []byte {
	if len(r.data) < n {
		r.fail()
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

func (r *wireReader) fail() { r.data, r.failed = nil, true }

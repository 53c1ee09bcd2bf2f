package wsroom

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/gobwas/ws"
)

// An encoder cuts a stream into messages. Whoever writes asks what to write next, and
// tells how much of it was written. A message that was cut short goes on with whatever
// is written next.
type encoder struct {
	masks bool // this end is a client; fixed after construction

	at    uint8 // where in mask the next byte is
	mask  [4]byte
	fresh int    // how many bytes at the end of head begin a message of which nothing is written
	left  int    // bytes to come of the message that was begun
	head  []byte // headers and control frames that are to be written before anything else
}

// between reports whether control frames may come now. A part of one may be written.
func (e *encoder) between() bool { return e.left == 0 }

// next returns what is to be written before the next payload, and how much of the n bytes
// of payload at hand may follow it.
func (e *encoder) next(n int) (head []byte, most int) {
	if e.left == 0 && n > 0 {
		before := len(e.head)
		e.head = e.appendHeader(e.head, ws.OpBinary, n)
		e.fresh, e.left = len(e.head)-before, n
	}
	return e.head, min(n, e.left)
}

// wrote notes that n bytes were written of what next has returned and the payload, and
// returns how many of them were payload.
func (e *encoder) wrote(n int) (payload int) {
	if n < len(e.head) {
		e.head = e.head[:copy(e.head, e.head[n:])]
		if e.fresh <= len(e.head) { // the next payload may have another length
			e.head = e.head[:len(e.head)-e.fresh]
			if e.fresh > 0 {
				e.left = 0
			}
		}
		e.fresh = 0
		return 0
	}
	payload = n - len(e.head)
	e.head, e.fresh = e.head[:0], 0
	e.left -= payload
	e.at = uint8((int(e.at) + payload) % len(e.mask))
	return payload
}

// addControl adds a control frame to what is to be written next. The encoder must be
// between messages.
func (e *encoder) addControl(op ws.OpCode, payload []byte) {
	mask := e.mask
	e.head = e.appendHeader(e.head, op, len(payload))
	e.head = append(e.head, payload...)
	if e.masks {
		ws.Cipher(e.head[len(e.head)-len(payload):], e.mask, 0)
	}
	e.mask = mask
}

// appendHeader appends the header of an unfragmented frame, and sets e.mask.
func (e *encoder) appendHeader(b []byte, op ws.OpCode, n int) []byte {
	var masked byte
	if e.masks {
		masked = 0x80
	}
	b = append(b, 0x80|byte(op))
	switch {
	case n <= 125:
		b = append(b, masked|byte(n))
	case n <= 1<<16-1:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if e.masks {
		_, _ = rand.Read(e.mask[:]) // never fails
		e.at = 0
		b = append(b, e.mask[:]...)
	}
	return b
}

// encode appends to dst the payload p as it goes over the wire.
func (e *encoder) encode(dst, p []byte) []byte {
	dst = append(dst, p...)
	if e.masks {
		ws.Cipher(dst[len(dst)-len(p):], e.mask, int(e.at))
	}
	return dst
}

package wsroom

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// errEnd is what a decoder returns at the peer's close frame.
var errEnd = errors.New("close frame")

// A decoder takes the payloads of binary messages out of a stream of frames that may
// be cut anywhere. It holds no more than a header and the payload of a control frame,
// since where messages begin and end does not matter.
type decoder struct {
	masked bool // the peer is a client, which must mask its frames; fixed after construction

	payload bool                   // the header is whole, and the payload comes
	begun   bool                   // a message has begun, and its last fragment has not come whole
	last    bool                   // the frame is its message's last
	pinged  bool                   // a ping has come; the caller resets it, and answers with pong
	op      ws.OpCode              // of the frame
	have    uint8                  // bytes of header that have come
	at      uint8                  // where in mask the next byte is
	header  [ws.MaxHeaderSize]byte // of the frame that begins
	mask    [4]byte                // of the payload
	left    int64                  // bytes of the payload to come

	control []byte // what has come of the payload of a control frame
	pong    []byte
	end     *CloseError // of the close frame that has come
}

// decode decodes what was read into p, in place: it moves the payloads to the front
// and returns their length. It returns errEnd at a close frame, and a *CloseError that
// says what to tell a peer that has broken the rules. Nothing after that counts.
func (d *decoder) decode(p []byte) (n int, err error) {
	for rest := p; ; {
		if !d.payload {
			used, whole := d.takeHeader(rest)
			if rest = rest[used:]; !whole {
				return n, nil
			}
			if err := d.begin(); err != nil {
				return n, err
			}
		}
		part := rest[:min(int64(len(rest)), d.left)]
		if d.masked {
			ws.Cipher(part, d.mask, int(d.at))
			d.at = uint8((int(d.at) + len(part)) % len(d.mask))
		}
		if d.op.IsControl() {
			d.control = append(d.control, part...)
		} else {
			n += copy(p[n:], part)
		}
		rest, d.left = rest[len(part):], d.left-int64(len(part))
		if d.left > 0 {
			return n, nil
		}
		d.payload, d.have = false, 0
		if err := d.finish(); err != nil {
			return n, err
		}
	}
}

// takeHeader takes from p what the header lacks, and reports whether it is whole.
func (d *decoder) takeHeader(p []byte) (used int, whole bool) {
	for {
		need, have := 2, int(d.have)
		if have >= need {
			switch d.header[1] & 0x7f {
			case 126:
				need += 2
			case 127:
				need += 8
			}
			if d.header[1]&0x80 != 0 {
				need += len(d.mask)
			}
			if have == need {
				return used, true
			}
		}
		n := copy(d.header[have:need], p[used:])
		if n == 0 {
			return used, false
		}
		d.have, used = uint8(have+n), used+n
	}
}

// begin begins the frame whose header is whole.
func (d *decoder) begin() error {
	length, ext := int64(d.header[1]&0x7f), d.header[2:d.have]
	h := ws.Header{
		Fin:    d.header[0]&0x80 != 0,
		Rsv:    d.header[0] & 0x70 >> 4,
		OpCode: ws.OpCode(d.header[0] & 0x0f),
		Masked: d.header[1]&0x80 != 0,
	}
	if h.Masked {
		copy(d.mask[:], ext[len(ext)-len(d.mask):])
	}
	switch length {
	case 126:
		length = int64(binary.BigEndian.Uint16(ext))
	case 127:
		length = int64(binary.BigEndian.Uint64(ext)) // negative if the highest bit is set, which must not be
	}
	h.Length = length
	state := ws.StateClientSide
	if d.masked {
		state = ws.StateServerSide
	}
	if d.begun {
		state = state.Set(ws.StateFragmented)
	}
	switch err := ws.CheckHeader(h, state); {
	case err != nil:
		return &CloseError{Code: CodeProtocol, Reason: err.Error()}
	case h.Masked != d.masked: // CheckHeader looks at this of some frames only
		return &CloseError{Code: CodeProtocol, Reason: "clients mask their frames, and servers do not"}
	case length < 0:
		return &CloseError{Code: CodeProtocol, Reason: "length of a frame out of range"}
	case h.OpCode == ws.OpText:
		return &CloseError{Code: CodeUnsupported, Reason: "messages must be binary"}
	}
	d.payload, d.op, d.left, d.at, d.last = true, h.OpCode, length, 0, h.Fin
	d.control = d.control[:0]
	return nil
}

// finish ends the frame whose payload is whole.
func (d *decoder) finish() error {
	switch d.op {
	case ws.OpPing:
		d.pinged, d.pong = true, append(d.pong[:0], d.control...)
	case ws.OpPong:
	case ws.OpClose:
		d.end = &CloseError{Code: CodeNone}
		if len(d.control) > 0 {
			code, reason := ws.ParseCloseFrameData(d.control)
			if err := ws.CheckCloseFrameData(code, reason); err != nil {
				return &CloseError{Code: CodeProtocol, Reason: err.Error()}
			}
			d.end = &CloseError{Code: int(code), Reason: reason}
		}
		return errEnd
	default:
		d.begun = !d.last
	}
	return nil
}

package chatroom

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"

	"example.com/chatroom/internal/transport"
)

const (
	// headerLen is the length of a frame's header in bytes.
	headerLen = 10

	// maxLength is the longest payload that a header can announce and whose whole
	// frame an int can count.
	maxLength = min(9_999_999_999, math.MaxInt-headerLen)
)

// ErrBadHeader reports a frame header that is not a decimal number padded with
// white space. The error that wraps it quotes the ten bytes.
var ErrBadHeader = errors.New("chatroom: bad frame header")

// ErrFrameTooLarge reports a frame whose payload is longer than the limit. If a peer
// sent the frame, the error that wraps it quotes the header.
var ErrFrameTooLarge = errors.New("chatroom: frame too large")

// AppendFrame appends payload to dst as one frame and returns the extended slice. A
// frame is the payload's length in bytes as ten bytes of ASCII (decimal, left-justified,
// padded with spaces), then the payload. It keeps no part of payload. It panics if the
// payload's length has more than ten digits.
func AppendFrame(dst, payload []byte) []byte {
	header := encodeHeader(len(payload))
	dst = append(dst, header[:]...)
	return append(dst, payload...)
}

func encodeHeader(n int) (header [headerLen]byte) {
	if n > maxLength {
		panic("chatroom: payload of " + strconv.Itoa(n) + " bytes does not fit a frame header")
	}
	digits := strconv.AppendInt(header[:0], int64(n), 10)
	for i := len(digits); i < headerLen; i++ {
		header[i] = ' '
	}
	return header
}

// decodeHeader returns the payload length that header announces. It accepts ASCII
// digits with spaces, tabs or line ends around them. That is what Python's
// int(header.strip()) accepts, without what is ambiguous.
func decodeHeader(header []byte, limit int) (int, error) {
	i, j := 0, len(header) // bytes.Trim takes twice as long
	for i < j && isSpace(header[i]) {
		i++
	}
	for i < j && isSpace(header[j-1]) {
		j--
	}
	if i == j {
		return 0, fmt.Errorf("%w %q: no digits", ErrBadHeader, header)
	}
	var n int64 // ten digits do not fit an int on 32-bit machines
	for _, c := range header[i:j] {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w %q: want digits padded with spaces", ErrBadHeader, header)
		}
		n = n*10 + int64(c-'0')
	}
	if n > int64(limit) {
		return 0, fmt.Errorf("%w: header %q announces %d bytes, the limit is %d", ErrFrameTooLarge, header, n, limit)
	}
	return int(n), nil
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r'
}

// ReadFrame reads one frame from r and returns its payload, which belongs to the
// caller. It blocks until the frame is complete, and reads nothing beyond it. Memory
// grows with the bytes that arrive, not with the length that the header announces.
//
// If the payload is longer than limit bytes the error is [ErrFrameTooLarge]. A limit of
// zero allows only an empty payload, and a negative one is no limit. If r ends before the
// first byte the error is [io.EOF]; if it ends later, the error matches
// [io.ErrUnexpectedEOF]. Other errors of r are wrapped.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		if err == io.EOF {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("chatroom: read frame header: %w", err)
	}
	if limit < 0 {
		limit = maxLength
	}
	n, err := decodeHeader(header[:], limit)
	if err != nil {
		return nil, err
	}
	payload := make([]byte, min(n, smallBuffer))
	for have := 0; ; {
		m, err := io.ReadFull(r, payload[have:])
		have += m
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("chatroom: read frame payload: %w", err)
		}
		if have == n {
			return payload, nil
		}
		payload = append(payload, make([]byte, min(n-have, have))...)
	}
}

const (
	// smallBuffer is what a frameReader holds while its stream is quiet.
	smallBuffer = 256

	// largeBuffer is what it borrows while the stream is busy.
	largeBuffer = 32 << 10

	// maxEmptyReads is how many reads in a row may bring nothing, and no error.
	maxEmptyReads = 100
)

var _ transport.Buffer = (*frameReader)(nil)

// largeBuffers holds *[largeBuffer]byte.
var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// A frameReader decodes the frames of a stream that may be cut anywhere: fill reads
// what there is, and next returns the frames that are complete. No bytes are lost when
// fill fails, so it can be called again after a deadline.
//
// Its buffer is small while the stream is quiet, large while reads fill it, and grows
// beyond that only as the bytes of a longer frame arrive.
type frameReader struct {
	limit int // the longest payload in bytes

	total int64 // bytes read
	empty int   // reads in a row that brought nothing, and no error

	buf    []byte // buf[rd:wr] is read, and next has not returned it
	rd, wr int
	want   int                // length of the frame at rd, header included; 0 until its header is decoded
	busy   bool               // the last read filled the buffer
	large  *[largeBuffer]byte // buf, if it is borrowed
}

// next returns the payload of the next frame if all of it has been read. The payload is
// valid until more is read.
func (f *frameReader) next() (payload []byte, ok bool, err error) {
	have := f.wr - f.rd
	if f.want == 0 {
		if have < headerLen {
			return nil, false, nil
		}
		n, err := decodeHeader(f.buf[f.rd:f.rd+headerLen], f.limit)
		if err != nil {
			return nil, false, err
		}
		f.want = headerLen + n
	}
	if have < f.want {
		return nil, false, nil
	}
	payload = f.buf[f.rd+headerLen : f.rd+f.want : f.rd+f.want]
	f.rd += f.want
	f.want = 0
	return payload, true, nil
}

// partial reports whether bytes have been read that next has not returned.
func (f *frameReader) partial() bool { return f.wr > f.rd }

// fill makes one read of src. At the end of the stream it returns io.EOF
// between frames and io.ErrUnexpectedEOF inside one.
func (f *frameReader) fill(src io.Reader) error {
	return f.filled(src.Read(f.Space(false)))
}

// fillFrom is fill from a server's connection.
func (f *frameReader) fillFrom(c transport.Conn) error { return f.filled(c.Read(f)) }

// filled notes a read of n bytes into the buffer.
func (f *frameReader) filled(n int, err error) error {
	f.wr += n
	f.total += int64(n)
	f.busy = f.wr == len(f.buf)
	switch {
	case n > 0:
		f.empty = 0
		return nil // an error that came with bytes comes again
	case err == io.EOF && f.partial():
		return io.ErrUnexpectedEOF
	case err == nil:
		if f.empty++; f.empty == maxEmptyReads {
			return io.ErrNoProgress
		}
	}
	return err
}

// Space implements transport.Buffer. If ready is set it returns much space, since that
// is held only for a moment: Park gives it back if there was nothing to read.
func (f *frameReader) Space(ready bool) []byte {
	if ready {
		if f.rd == f.wr && f.large == nil {
			f.replace(largeBuffer)
		}
		f.busy = true
	}
	f.makeRoom()
	return f.buf[f.wr:]
}

// Park implements transport.Buffer. It keeps no more of the buffer than is unread.
func (f *frameReader) Park() {
	unread := f.wr - f.rd
	switch {
	case unread == 0:
		f.release()
		f.rd, f.wr = 0, 0
	case len(f.buf) > smallBuffer && unread <= len(f.buf)/4:
		f.replace(max(smallBuffer, 2*unread))
	}
}

func (f *frameReader) makeRoom() {
	if f.rd == f.wr {
		f.rd, f.wr = 0, 0
		switch {
		case f.busy && len(f.buf) != largeBuffer:
			f.replace(largeBuffer)
		case !f.busy && len(f.buf) != smallBuffer:
			f.replace(smallBuffer)
		}
		return
	}
	if size := f.nextSize(); size != len(f.buf) {
		f.replace(size)
	} else if f.wr == len(f.buf) {
		f.wr = copy(f.buf, f.buf[f.rd:f.wr])
		f.rd = 0
	}
}

// nextSize is how large the buffer is for the next read of an unfinished frame. It grows
// if the frame fills it, unless moving the frame to the front makes enough room, and
// shrinks if the frame is much smaller.
func (f *frameReader) nextSize() int {
	need := max(f.want, f.wr-f.rd)
	switch {
	case len(f.buf) > largeBuffer && need <= len(f.buf)/4:
		return max(largeBuffer, need+smallBuffer)
	case f.wr == len(f.buf) && f.rd < len(f.buf)/2:
		return f.grownSize()
	}
	return len(f.buf)
}

// grownSize is how large the buffer must become for a frame that fills it. The room
// beyond the frame lets fill tell a stream that goes on from one that falls quiet.
func (f *frameReader) grownSize() int {
	return max(largeBuffer, min(2*len(f.buf), f.want+smallBuffer))
}

// excess returns how many bytes beyond a large buffer the next read takes for an
// unfinished frame.
func (f *frameReader) excess() int64 {
	if f.rd == f.wr { // the next read begins with another buffer
		return 0
	}
	return int64(max(f.nextSize()-largeBuffer, 0))
}

// begins returns where in the stream the unfinished frame begins.
func (f *frameReader) begins() int64 { return f.total - int64(f.wr-f.rd) }

// replace moves what is unread to a new buffer of size bytes.
func (f *frameReader) replace(size int) {
	unread, was := f.buf[f.rd:f.wr], f.large
	f.large = nil
	if size == largeBuffer {
		f.large = largeBuffers.Get().(*[largeBuffer]byte)
		f.buf = f.large[:]
	} else {
		f.buf = make([]byte, size)
	}
	f.rd, f.wr = 0, copy(f.buf, unread)
	if was != nil {
		largeBuffers.Put(was)
	}
}

func (f *frameReader) release() {
	if f.large != nil {
		largeBuffers.Put(f.large)
	}
	f.buf, f.large = nil, nil
}

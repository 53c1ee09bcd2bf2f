package wsroom

import (
	"net"
	"sync"
)

const (
	// maxVector is how many slices one write of the server's has: its runs and a header.
	maxVector = 65

	// Up to maxCopied bytes are written from one slice, since copying them costs less than the
	// system needs for a second one.
	maxCopied = 512
)

// A vector is what a write below takes.
type vector struct {
	list   [maxVector][]byte
	copied [maxCopied]byte
}

// vectors holds *vector.
var vectors = sync.Pool{New: func() any { return new(vector) }}

// The methods below let the server's sweep write to a connection over a socket, as it does to
// a socket: a run of the room's log becomes a message, whose header and whose bytes go out
// in one system call. Long runs are not copied for that.

// Below returns the connection below, if this one can be polled when that can.
func (c *conn) Below() net.Conn {
	if c.isClient() { // what a client writes is no longer what it was given
		return nil
	}
	return c.nc
}

// WriteFrames is Write by means of below, whose AwaitWrite it calls once if waits is set.
func (c *conn) WriteFrames(runs [][]byte, waits bool, below interface {
	TryWrite(runs [][]byte) (int, error)
	AwaitWrite(runs [][]byte) (int, error)
},
) (written int, err error) {
	if waits {
		err = c.beginWrite()
	} else {
		var ok bool
		if ok, err = c.tryBeginWrite(); !ok {
			return 0, nil
		}
	}
	defer c.endWrite()
	v := vectors.Get().(*vector)
	defer vectors.Put(v)
	size := 0
	for _, run := range runs {
		size += len(run)
	}
	for written < size && err == nil {
		head, most := c.enc.next(size - written)
		list := v.fill(head, runs, written, most)
		var n int
		if waits {
			n, err = below.AwaitWrite(list)
		} else {
			n, err = below.TryWrite(list)
		}
		clear(list)
		n = c.enc.wrote(max(n, 0))
		written += n
		switch {
		case err != nil && written > 0:
			return written, nil // it comes again
		case waits || n < most:
			return written, err
		case written < size: // what was cut short earlier is whole now
			err = c.goOn()
		}
	}
	return written, err
}

// fill returns head and those bytes of runs that begin at skip, as many as left.
func (v *vector) fill(head []byte, runs [][]byte, skip, left int) [][]byte {
	small := len(head)+left <= len(v.copied)
	list, copied := v.list[:0], v.copied[:0]
	add := func(b []byte) {
		switch {
		case small:
			copied = append(copied, b...)
		case len(b) > 0:
			list = append(list, b)
		}
	}
	add(head)
	for _, run := range runs {
		if skip >= len(run) {
			skip -= len(run)
			continue
		}
		run = run[skip:min(len(run), skip+left)]
		skip, left = 0, left-len(run)
		add(run)
	}
	if small {
		list = append(list, copied)
	}
	return list
}

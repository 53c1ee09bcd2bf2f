package wsroom

import (
	"net"
	"sync"
)

// maxVector is how many slices one write of the server's has: its runs and a header.
const maxVector = 65

// vectors holds *[maxVector][]byte.
var vectors = sync.Pool{New: func() any { return new([maxVector][]byte) }}

// The methods below let the server's sweep write to a connection over a socket, as it does to
// a socket: a run of the room's log becomes a message, whose header and whose bytes go out
// in one system call, without a copy.

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
	vector := vectors.Get().(*[maxVector][]byte)
	defer vectors.Put(vector)
	size := 0
	for _, run := range runs {
		size += len(run)
	}
	for written < size && err == nil {
		head, most := c.enc.next(size - written)
		list := vector[:0]
		if len(head) > 0 {
			list = append(list, head)
		}
		list = appendRuns(list, runs, written, most)
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

// appendRuns appends to list those bytes of runs that begin at skip, as many as left.
func appendRuns(list, runs [][]byte, skip, left int) [][]byte {
	for _, run := range runs {
		if skip >= len(run) {
			skip -= len(run)
			continue
		}
		if run = run[skip:min(len(run), skip+left)]; len(run) == 0 {
			break
		}
		list = append(list, run)
		skip, left = 0, left-len(run)
	}
	return list
}

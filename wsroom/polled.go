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
	if c.enc.masks { // what a client writes is no longer what it was given
		return nil
	}
	return c.nc
}

// BeginRead waits until nobody else reads.
func (c *conn) BeginRead() { <-c.reading }

// EndRead ends what BeginRead began.
func (c *conn) EndRead() { c.reading <- struct{}{} }

// ReadFrames is Read by means of read, whose errors it returns as they are.
func (c *conn) ReadFrames(p []byte, read func(p []byte) (int, error)) (int, error) {
	for c.readErr == nil {
		var n int
		var err error
		if len(c.early) > 0 {
			n = copy(p, c.early)
			c.early = c.early[n:]
		} else {
			n, err = read(p)
		}
		if n == 0 && err != nil {
			c.waiting.Store(true)
			return 0, err
		}
		c.waiting.Store(false)
		if n = c.decode(p[:n]); n > 0 {
			return n, nil
		}
	}
	return 0, c.readErr
}

// ReadError returns what an error of the connection below means.
func (c *conn) ReadError(err error) error {
	if c.readErr != nil {
		return c.readErr
	}
	return c.readError(err)
}

// WriteFrames is Write by means of write, which it calls once if waits is set.
func (c *conn) WriteFrames(runs [][]byte, waits bool, write func(runs [][]byte) (int, error)) (written int, err error) {
	if waits {
		<-c.writing
	} else {
		select {
		case <-c.writing:
		default:
			return 0, nil
		}
	}
	defer c.doneWriting()
	size := 0
	for _, run := range runs {
		size += len(run)
	}
	vector := vectors.Get().(*[maxVector][]byte)
	defer vectors.Put(vector)
	for written < size {
		if c.reached(connEnding) {
			return written, net.ErrClosed
		}
		c.addControls()
		head, most := c.enc.next(size - written)
		list := vector[:0]
		if len(head) > 0 {
			list = append(list, head)
		}
		skip, left := written, most
		for _, run := range runs {
			if skip >= len(run) {
				skip -= len(run)
				continue
			}
			run = run[skip:]
			skip = 0
			if left < len(run) {
				run = run[:left]
			}
			if left -= len(run); len(run) > 0 {
				list = append(list, run)
			}
		}
		n, err := write(list)
		clear(list)
		n = c.enc.wrote(max(n, 0))
		written += n
		switch {
		case err != nil && written > 0:
			return written, nil // it comes again
		case err != nil:
			return 0, err
		case waits || n < most:
			return written, nil
		}
	}
	return written, nil
}

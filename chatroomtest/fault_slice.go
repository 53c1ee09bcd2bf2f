package chatroomtest

import "net"

// Slice returns nc cut into small pieces: at most n bytes are read at once, and
// a write is passed on as writes of at most n bytes, so that with 1 every header
// is cut at every byte. All of it is still written, unless a piece fails. With
// zero or less there is no limit, and it returns nc itself.
//
// The connection can be used as nc can, its methods at once, and belongs to the
// caller as nc did. Pieces of concurrent writes are not mixed. Errors are nc's; a
// write returns with one how much went out.
func Slice(nc net.Conn, n int) net.Conn {
	if n <= 0 {
		return nc
	}
	return &sliceConn{fault: newFault(nc), n: n}
}

type sliceConn struct {
	fault

	n int
}

func (c *sliceConn) Read(p []byte) (int, error) {
	return c.Conn.Read(p[:min(len(p), c.n)])
}

func (c *sliceConn) Write(p []byte) (n int, err error) {
	defer c.takeTurn()()
	for {
		m, err := c.Conn.Write(p[n:min(len(p), n+c.n)])
		n += m
		if err != nil || n >= len(p) {
			return n, err
		}
	}
}

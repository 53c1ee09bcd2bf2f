package chatroomtest

import (
	"net"
	"slices"
)

// Corrupt returns nc with all bits of some bytes flipped on their way out: those
// at the given offsets in the stream of what is written, of which the first byte
// has offset 0. A header's digits and spaces are then none. Offsets may come in
// any order; negative ones are never reached. An offset counts the bytes that nc
// took, so a write that failed half-way does not move it.
//
// The connection can be used as nc can, its methods at once, and belongs to the
// caller as nc did. What is passed to Write is not changed. Errors are nc's.
func Corrupt(nc net.Conn, offsets ...int64) net.Conn {
	offsets = slices.Sorted(slices.Values(offsets))
	return &corruptConn{fault: newFault(nc), offsets: slices.Compact(offsets)}
}

type corruptConn struct {
	fault

	// Owned by who has the turn to write.
	offsets []int64 // ascending
	at      int64   // in the stream
}

func (c *corruptConn) Write(p []byte) (int, error) {
	defer c.takeTurn()()
	first, _ := slices.BinarySearch(c.offsets, c.at)
	c.offsets = c.offsets[first:]
	q := p
	for i, offset := range c.offsets {
		if offset >= c.at+int64(len(p)) {
			break
		}
		if i == 0 {
			q = slices.Clone(p)
		}
		q[offset-c.at] ^= 0xff
	}
	n, err := c.Conn.Write(q)
	c.at += int64(n)
	return n, err
}

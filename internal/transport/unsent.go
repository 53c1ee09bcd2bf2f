package transport

import "net"

const (
	// maxUnsent is about how many bytes a TCP socket of the system's holds unsent.
	// Without a bound it takes megabytes at once and then nothing for seconds, so
	// that a steady reader looks like one that reads in bursts. For a peer that does
	// not read the kernel holds all of it. A lower bound costs speed where segments
	// are of 64 KiB.
	maxUnsent = 128 << 10

	// unixBuffer is the send buffer of a Unix socket, in bytes. Such a socket can be
	// written to again when three quarters of it are free. With the system's buffer
	// that takes a slow reader half a minute.
	unixBuffer = 32 << 10
)

// limitUnsent bounds what nc holds for its peer if it is a socket of the system's.
// Where that fails, the server only holds more.
func limitUnsent(nc net.Conn) {
	switch c := nc.(type) {
	case *net.TCPConn:
		if !setNotSentLowat(c, maxUnsent) {
			_ = c.SetWriteBuffer(2 * maxUnsent) // which counts what is sent and not acknowledged as well
		}
	case *net.UnixConn:
		_ = c.SetWriteBuffer(unixBuffer)
	}
}

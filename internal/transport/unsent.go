package transport

import "net"

const (
	// maxUnsent is how many bytes that are not sent a TCP socket of the system's
	// holds, about. Left alone it takes megabytes at once and then nothing for
	// seconds: a steady reader looks like one that reads in bursts, and one that does
	// not read at all costs the kernel all of it. Less than this costs speed where
	// segments are of 64 KiB.
	maxUnsent = 128 << 10

	// unixBuffer is the send buffer of a Unix socket, in bytes. It can be written to
	// again when three quarters are free, for which a slow reader of the system's
	// buffer takes half a minute.
	unixBuffer = 32 << 10
)

// limitUnsent bounds what nc holds for its peer if it is a socket of the system's.
// Without that it works as well.
func limitUnsent(nc net.Conn) {
	switch c := nc.(type) {
	case *net.TCPConn:
		setUnsent(c, maxUnsent)
	case *net.UnixConn:
		_ = c.SetWriteBuffer(unixBuffer)
	}
}

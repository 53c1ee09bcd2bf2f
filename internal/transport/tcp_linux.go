package transport

import (
	"net"
	"syscall"
)

// tcpNotSentLowat is TCP_NOTSENT_LOWAT of linux/tcp.h, which package syscall does
// not have.
const tcpNotSentLowat = 25

// setUnsent bounds what is not sent. (TCP_USER_TIMEOUT would find a peer that has
// vanished, but it also ends a connection that makes steady progress, if the window
// never has room for a whole segment.)
func setUnsent(c *net.TCPConn, bytes int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, bytes)
	})
}

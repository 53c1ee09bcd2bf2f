//go:build linux || darwin

package transport

import (
	"net"
	"runtime"
	"syscall"
)

// setUnsent bounds what is not sent by TCP_NOTSENT_LOWAT, which package syscall does
// not have. (TCP_USER_TIMEOUT would find a peer that has vanished, but it also ends a
// connection that makes steady progress, if the window never has room for a whole
// segment.)
func setUnsent(c *net.TCPConn, bytes int) {
	lowat := 25 // of linux/tcp.h
	if runtime.GOOS == "darwin" {
		lowat = 0x201 // of netinet/tcp.h
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, lowat, bytes)
	})
}

//go:build linux && !386 && !s390x

package transport

import (
	"encoding/binary"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// checkPeer returns ErrStalled if nc is a TCP socket of the system's whose peer has
// acknowledged nothing for the write timeout, although it was sent data or asked
// whether it is there.
func checkPeer(nc net.Conn, writeTimeout time.Duration) error {
	tcp, ok := nc.(*net.TCPConn)
	if !ok || writeTimeout <= 0 {
		return nil
	}
	gone := false
	raw, err := tcp.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { gone = isGone(fd, writeTimeout) })
	}
	if err == nil && gone {
		return stalled(writeTimeout, &net.OpError{Op: "write", Net: "tcp", Source: tcp.LocalAddr(), Addr: tcp.RemoteAddr(), Err: os.ErrDeadlineExceeded})
	}
	return nil // a connection that has ended tells it elsewhere
}

// isGone reports whether the peer of a TCP socket has been silent for so long and
// should have spoken: data was sent to it again and again, or it has left two
// keep-alive probes in a row unanswered.
func isGone(fd uintptr, silence time.Duration) bool {
	// The beginning of struct tcp_info of linux/tcp.h.
	const (
		tcpInfo     = 11
		retransmits = 2  // in a row
		probes      = 3  // unanswered, in a row
		rto         = 8  // until data is sent again, in microseconds; doubles each time, up to two minutes
		lastAckRecv = 56 // milliseconds ago
	)
	var info [60]byte
	size := uint32(len(info))
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, tcpInfo,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || int(size) < len(info) {
		return false
	}
	silent := time.Duration(binary.NativeEndian.Uint32(info[lastAckRecv:])) * time.Millisecond
	again := time.Duration(binary.NativeEndian.Uint32(info[rto:])) * time.Microsecond
	return silent >= silence &&
		(info[retransmits] > 0 && again >= min(silence/2, time.Minute) || info[probes] >= 2)
}

//go:build !unix

package transport

import (
	"net"
	"time"
)

// newSocket returns nil: there is no writing without waiting here.
func newSocket(nc net.Conn, _ time.Duration) Conn {
	limitUnsent(nc)
	return nil
}

func setNotSentLowat(*net.TCPConn, int) bool { return false }

func newFramed(Framed, time.Duration) Conn { return nil }

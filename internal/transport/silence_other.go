//go:build !linux || 386 || s390x

package transport

import (
	"net"
	"time"
)

// checkPeer returns nil: the system gives up by itself, if late.
func checkPeer(net.Conn, time.Duration) error { return nil }

//go:build !linux && !darwin

package transport

import "net"

// setUnsent bounds what is sent and not acknowledged as well, which is all that
// there is everywhere.
func setUnsent(c *net.TCPConn, bytes int) { _ = c.SetWriteBuffer(2 * bytes) }

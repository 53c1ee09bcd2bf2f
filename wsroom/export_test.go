package wsroom

import (
	"net"
	"net/http"
)

// Upgrade makes the handshake as a Handler does.
func Upgrade(w http.ResponseWriter, r *http.Request) net.Conn {
	if c := upgrade(w, r); c != nil {
		return c.asNetConn()
	}
	return nil
}

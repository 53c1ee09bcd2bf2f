package chatroom

import (
	"net"
	"time"
)

// A Member is one connection in the room, as it was when it joined.
type Member struct {
	ID         uint64    // unique in the server's life, ascending in the order of joining
	Name       string    // not unique
	RemoteAddr net.Addr  // as its connection reports it
	JoinedAt   time.Time // when the room listed it
}

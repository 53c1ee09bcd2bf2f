package cookbook

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"example.com/chatroom"
)

// ErrBanned is why somebody is not let in, or is kicked.
var ErrBanned = errors.New("banned")

// Bans keeps people out, by name and by address. The zero value bans nobody.
type Bans struct {
	mu    sync.Mutex
	until map[any]time.Time // by name (a string), and by address (a netip.Prefix)
}

// Ban keeps out who is called like m, and who comes from its address, until then; and
// kicks those of members who are.
func (b *Bans) Ban(m chatroom.Member, until time.Time, members []chatroom.Member) {
	b.mu.Lock()
	if b.until == nil {
		b.until = make(map[any]time.Time)
	}
	maps.DeleteFunc(b.until, func(_ any, end time.Time) bool { return time.Now().After(end) })
	b.until[m.Name] = until
	if addr, ok := network(m.RemoteAddr); ok {
		b.until[addr] = until
	}
	b.mu.Unlock()
	for _, other := range members {
		if b.has(other.Name, other.RemoteAddr) {
			other.Kick(ErrBanned)
		}
	}
}

func (b *Bans) has(name string, from net.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until := b.until[name]
	if addr, ok := network(from); ok && b.until[addr].After(until) {
		until = b.until[addr]
	}
	return time.Now().Before(until)
}

// network returns whom an address bans: itself, and with IPv6 the 64 bits that one
// customer has.
func network(addr net.Addr) (netip.Prefix, bool) {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}, false // a Unix socket's, for one
	}
	ip, bits := ap.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	return prefix, err == nil
}

// Options are the hooks for the server. The one that counts is the join hook: a ban
// that comes while somebody is being let in finds nobody to kick.
func (b *Bans) Options() []chatroom.ServerOption {
	return []chatroom.ServerOption{
		chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			if b.has(j.Name, j.Conn.RemoteAddr()) {
				return ErrBanned
			}
			return nil
		}),
		chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
			if b.has(m.Name, m.RemoteAddr) {
				m.Kick(ErrBanned)
			}
		}),
	}
}

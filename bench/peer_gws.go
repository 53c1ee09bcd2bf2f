//go:build linux

package main

import (
	"net"
	"net/http"
	"sync"

	"github.com/lxzan/gws"
)

var gwsPeer = &peer{
	name:    "gws",
	module:  "github.com/lxzan/gws",
	how:     "one Broadcaster for each message; no compression; its queues have no limit",
	serve:   serveOne(serveGWS),
	newWire: newWebSocketWire,
}

// A gwsRoom is the set of connections, and what they do with a message.
type gwsRoom struct {
	gws.BuiltinEventHandler
	mu    sync.RWMutex
	conns map[*gws.Conn]struct{}
}

func serveGWS(l net.Listener) error {
	room := &gwsRoom{conns: make(map[*gws.Conn]struct{})}
	upgrader := gws.NewUpgrader(room, &gws.ServerOption{Recovery: gws.Recovery})
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}))
}

func (r *gwsRoom) OnOpen(c *gws.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
}

func (r *gwsRoom) OnClose(c *gws.Conn, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

func (r *gwsRoom) OnMessage(from *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }() // always nil
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer func() { _ = b.Close() }() // always nil
	r.mu.RLock()
	defer r.mu.RUnlock()
	for c := range r.conns {
		if c != from {
			_ = b.Broadcast(c) // a failed connection closes itself
		}
	}
}

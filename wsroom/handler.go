package wsroom

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/gobwas/ws"

	"example.com/chatroom"
)

// Handler returns a handler that makes each request a connection of s, over WebSocket. See
// the package's documentation for what a member over it is.
//
// ServeHTTP returns when the handshake is over; the member stays. [http.Server.Shutdown]
// does not know such connections: [chatroom.Server.Shutdown] ends them, and a request after it
// is refused with status 503. The contexts of the server's hooks have the values of the
// request's, but do not end with it, so that a middleware's timeout ends no member.
//
// The handler refuses what is no handshake, a foreign origin with status 403, a room that
// [WithRoom] does not accept with 404, and a connection beyond [WithMaxConns] with 503. A page
// cannot see a status, nor why: what people are to read, an admit hook should say.
func Handler(s *chatroom.Server, opts ...Option) http.Handler {
	return &handler{srv: s, cfg: newConfig(opts)}
}

type handler struct {
	srv  *chatroom.Server
	cfg  config
	open atomic.Int64 // connections
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.cfg.allowsOrigin(r) {
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return
	}
	room, err := h.cfg.room(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if n := h.open.Add(1); h.cfg.maxConns > 0 && n > int64(h.cfg.maxConns) {
		h.open.Add(-1)
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	c := upgrade(w, r)
	if c == nil {
		h.open.Add(-1)
		return
	}
	c.asked, c.open = &asked{request: r, room: room}, &h.open
	c.startBeat(ws.OpPing, h.cfg.pingInterval)
	// This goroutine has a large stack, and holds the buffers of the HTTP server.
	go h.serve(context.WithoutCancel(r.Context()), c.asNetConn())
}

// serve runs on a goroutine for each connection. Its stack is small, and stays so if not much
// more is on it.
func (h *handler) serve(ctx context.Context, nc net.Conn) {
	_ = h.srv.ServeConn(ctx, nc) // hooks and the log tell why it ended
}

// upgrade makes the handshake. It returns nil if it has answered that there is none.
func upgrade(w http.ResponseWriter, r *http.Request) *conn {
	u := ws.HTTPUpgrader{Timeout: controlTimeout}
	nc, rw, _, err := u.Upgrade(r, hijacker{w})
	switch {
	case err == nil:
	case nc != nil:
		_ = nc.Close() // it has the answer
		return nil
	default:
		return nil
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ = rw.Reader.Peek(n)       // what is buffered is there
		early = append([]byte{}, early...) // or the whole buffer would be kept
	}
	return newConn(nc, false, early)
}

// A hijacker hijacks also what is wrapped.
type hijacker struct{ http.ResponseWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

// Request returns the request that has become the connection, for admit hooks, which have the
// connection as [chatroom.Join.Conn]. Its body is empty. It reports false if the connection
// is not a [Handler]'s, or its admit hooks have returned: the request is not kept for as long
// as the member stays. What is needed later, a hook keeps in [chatroom.Join.Value].
func Request(nc net.Conn) (*http.Request, bool) {
	if l, ok := nc.(layeredConn); ok {
		nc = l.conn
	}
	c, ok := nc.(*conn)
	if !ok {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		return nil, false
	}
	return c.asked.request, true
}

package chatroom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrServerClosed is what [Server.Serve], [Server.ServeConn] and [Server.Broadcast]
// return once [Server.Shutdown] or [Server.Close] has been called. It is also the
// reason why members left that either has ended.
var ErrServerClosed = errors.New("chatroom: server closed")

// A Server is a chat room. Create one with [NewServer], give it connections with
// [Server.Serve] or [Server.ServeConn], and end it with [Server.Shutdown] or
// [Server.Close]. All methods are safe for concurrent use. Hooks may call them; see
// Shutdown for how.
type Server struct {
	// Fixed after construction.
	cfg  serverConfig
	room *room

	// The server's end closes these: ending when it begins, sealed when nothing more
	// is published, and ended when nothing is left.
	ending, sealed, ended chan struct{}

	refused atomic.Uint64 // connections

	// mu guards the fields below. It is taken before room.mu and never held
	// across I/O or a hook.
	mu        sync.Mutex
	closing   bool
	listeners map[*onceCloser]struct{}
	sessions  map[*session]struct{}
	accepted  uint64

	// running counts the sessions, and reading those that may publish. Add is called
	// by unlessClosing only.
	running, reading sync.WaitGroup
}

// Stats are figures of a [Server] at one moment. Counts run from its start.
type Stats struct {
	Members     int // in the room now
	Connections int // open now: the members and those that have not sent their names

	Accepted      uint64 // connections
	Refused       uint64 // connections that ended before they were members
	Joined        uint64 // members
	SlowConsumers uint64 // members disconnected with ErrSlowConsumer

	Messages uint64 // published, by members and Broadcast
	Bytes    uint64 // of those, as sent to one member: names, messages and headers
	Backlog  int64  // bytes that the member furthest behind is behind now

	Holds    uint64        // times that publishing had to wait for members to catch up
	HoldTime time.Duration // for how long in all, up to now
	Held     bool          // publishing has to wait now
}

// NewServer returns a server with an empty room. It starts no goroutine: a server that
// never serves anything need not be ended.
func NewServer(opts ...ServerOption) *Server {
	cfg := newServerConfig(opts)
	return &Server{
		cfg:       cfg,
		room:      newRoom(cfg.backlog, cfg.writeTimeout),
		ending:    make(chan struct{}),
		sealed:    make(chan struct{}),
		ended:     make(chan struct{}),
		listeners: make(map[*onceCloser]struct{}),
		sessions:  make(map[*session]struct{}),
	}
}

// Serve accepts connections from l and serves each on a goroutine of its own. It
// blocks until l fails or the server ends. It always closes l, and always returns an
// error: [ErrServerClosed] after [Server.Shutdown] or [Server.Close]. A server may
// serve several listeners at the same time. After a temporary error of l, such as too
// many open files, Serve logs it and tries again after 5 ms, doubling to a second.
func (s *Server) Serve(l net.Listener) error {
	c := &onceCloser{close: sync.OnceValue(l.Close)}
	defer func() { _ = c.close() }() // what matters is why Accept failed
	if err := s.unlessClosing(func() { s.listeners[c] = struct{}{} }); err != nil {
		return err
	}
	defer s.removeListener(c)
	s.log(slog.LevelInfo, "listening", slog.Any("addr", l.Addr()))
	for delay := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			delay = 0
			sess, err := s.register(nc)
			if err != nil {
				_ = nc.Close()
				return err
			}
			go sess.run()
			continue
		}
		if s.isClosing() {
			return ErrServerClosed
		}
		if t, ok := err.(interface{ Temporary() bool }); !ok || !t.Temporary() {
			return fmt.Errorf("chatroom: accept: %w", err)
		}
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		s.log(slog.LevelWarn, "accept failed", slog.Any("error", err), slog.Duration("retry", delay))
		select {
		case <-time.After(delay):
		case <-s.ending:
			return ErrServerClosed
		}
	}
}

// A onceCloser is a listener, which it closes once.
type onceCloser struct{ close func() error }

func (s *Server) removeListener(c *onceCloser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, c)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// ServeConn serves one connection that somebody else has accepted. It blocks until the
// member has left and its last leave hook has returned, and always closes nc. It
// returns the reason that [WithOnLeave] hooks get, which is nil for a clean goodbye,
// or why the connection never became a member, such as [ErrNameRejected]. When ctx
// ends, the connection is closed and the error matches ctx.Err().
//
// The deadlines of nc must work: the server's timeouts and its graceful end use them.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) error {
	sess, err := s.register(nc)
	if err != nil {
		_ = nc.Close()
		return err
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			sess.abort(fmt.Errorf("chatroom: serve connection: %w", ctx.Err()))
		})
		defer stop()
	}
	if err := sess.enter(); err != nil {
		return err
	}
	return sess.stay()
}

// register makes a session for nc, so that the server's end reaches it from its
// first moment.
func (s *Server) register(nc net.Conn) (*session, error) {
	sess := newSession(s, nc)
	err := s.unlessClosing(func() {
		s.accepted++
		s.sessions[sess] = struct{}{}
		s.running.Add(1)
	})
	return sess, err
}

func (s *Server) unregister(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	s.running.Done()
}

// unlessClosing calls do with mu held, unless the server is ending.
func (s *Server) unlessClosing(do func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return ErrServerClosed
	}
	do()
	return nil
}

// Broadcast sends body to every member, as a message from somebody called from, who
// need not be a member. The name rule does not apply. Like a member's publishing it
// waits while the room is held for slower members. When ctx ends first, nothing is
// published and it returns ctx.Err(). It keeps no part of body. It returns
// [ErrFrameTooLarge] if from or body is longer than [WithMaxMessage] allows, and
// [ErrServerClosed] when the server is ending.
func (s *Server) Broadcast(ctx context.Context, from string, body []byte) error {
	if limit := s.cfg.maxMessage; max(len(from), len(body)) > limit {
		return fmt.Errorf("%w: broadcast of %d bytes, the limit is %d", ErrFrameTooLarge, max(len(from), len(body)), limit)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var short [128]byte // so that a short name needs no memory
	return s.room.broadcast(ctx, AppendFrame(short[:0], []byte(from)), body)
}

// Members returns the members of this moment in the order of joining. The slice belongs
// to the caller.
func (s *Server) Members() []Member { return s.room.list() }

// Stats returns figures of this moment. It visits every member.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Connections: len(s.sessions),
		Accepted:    s.accepted,
		Refused:     s.refused.Load(),
	}
	s.room.stats(&st)
	return st
}

// Flush blocks until everything published before the call has been written to the
// connections of all members that have not left. When ctx ends first, it returns
// ctx.Err().
func (s *Server) Flush(ctx context.Context) error { return s.room.flush(ctx) }

func (s *Server) log(level slog.Level, msg string, attrs ...slog.Attr) {
	s.cfg.logger.LogAttrs(context.Background(), level, msg, attrs...)
}

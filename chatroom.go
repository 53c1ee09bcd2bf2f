package chatroom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ErrServerClosed is returned by [Server.Serve], [Server.ServeConn] and
// [Server.Broadcast] once [Server.Shutdown] or [Server.Close] has been called,
// and is the reason why members left because of it.
var ErrServerClosed = errors.New("chatroom: server closed")

// A Server is a chat room. Create one with [NewServer]; give it connections with
// [Server.Serve] or [Server.ServeConn]; end it with [Server.Shutdown] or
// [Server.Close]. All methods are safe for concurrent use, also by hooks; see
// [Server.Shutdown].
type Server struct {
	// Fixed after construction.
	cfg  serverConfig
	room *room

	// ending is closed when the server's end begins, sealed when, after that,
	// nothing is published any more, and ended when nothing is left.
	ending, sealed, ended chan struct{}

	// mu guards the fields below. It is taken before room.mu and never held
	// across I/O or a hook.
	mu        sync.Mutex
	closing   bool
	listeners map[*onceCloser]struct{}
	sessions  map[*session]struct{}
	refused   uint64
	accepted  uint64

	// running counts the sessions, and reading those that may publish. Add is called
	// under mu, and not while closing.
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
	Bytes    uint64 // of them, as sent to one member: names, messages and headers
	Backlog  int64  // bytes by which the member furthest behind is behind now

	Holds    uint64        // times that publishing had to wait for members to catch up
	HoldTime time.Duration // for how long in all, the hold that goes on included
	Held     bool          // it has to wait now
}

// NewServer returns a server with an empty room. It starts nothing: a server
// that is never given a connection needs no end.
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
// blocks until l fails or the server ends, always returns an error, which is
// [ErrServerClosed] after [Server.Shutdown] or [Server.Close], and always closes
// l. A server may serve several listeners at the same time. Temporary errors of l, such
// as too many open files, are logged and tried again after 5 ms, doubling to a
// second.
func (s *Server) Serve(l net.Listener) error {
	c := &onceCloser{close: sync.OnceValue(l.Close)}
	defer func() { _ = c.close() }() // what matters is why Accept failed
	if !s.addListener(c) {
		return ErrServerClosed
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

// A onceCloser closes a listener, once.
type onceCloser struct{ close func() error }

func (s *Server) addListener(c *onceCloser) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[c] = struct{}{}
	return true
}

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

// ServeConn serves one connection that somebody else has accepted. It blocks
// until the member has left and its last leave hook has returned, and always
// closes nc. It returns the reason that [WithOnLeave] hooks are told, nil for a
// clean goodbye, or why the connection never became a member, such as
// [ErrNameRejected]. When ctx ends, the connection is closed and the error
// matches ctx.Err().
//
// The deadlines of nc must work: the server's timeouts, and its graceful end, are
// made of them.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, ErrServerClosed
	}
	s.accepted++
	s.sessions[sess] = struct{}{}
	s.running.Add(1)
	return sess, nil
}

func (s *Server) unregister(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	s.running.Done()
}

// admit lets sess become a member, unless the server is ending. From here on
// the end is graceful to it.
func (s *Server) admit(sess *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return ErrServerClosed
	}
	sess.admit()
	return nil
}

// startReading lets a session publish until it calls reading.Done, unless the
// server is ending.
func (s *Server) startReading() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.reading.Add(1)
	return true
}

func (s *Server) countRefused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
}

// Broadcast sends body to every member, as a message from somebody called from,
// who need not be one and whose name no rule looks at. Like a member's publishing
// it waits while the room is held for those who are slower. When ctx ends first,
// nothing is published and it returns ctx.Err(). It keeps no part of body. It
// returns [ErrFrameTooLarge] if from or body is over [WithMaxMessage], and
// [ErrServerClosed] when the server is ending.
func (s *Server) Broadcast(ctx context.Context, from string, body []byte) error {
	if limit := s.cfg.maxMessage; max(len(from), len(body)) > limit {
		return fmt.Errorf("%w: broadcast of %d bytes, the limit is %d", ErrFrameTooLarge, max(len(from), len(body)), limit)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var short [128]byte // so that a short name needs no memory
	published, err := s.room.broadcast(ctx, AppendFrame(short[:0], []byte(from)), body)
	if !published && err == nil {
		err = ctx.Err()
	}
	return err
}

// Members returns a snapshot of the members in the order of joining. The slice
// belongs to the caller.
func (s *Server) Members() []Member { return s.room.list() }

// Stats returns figures of this moment. It visits every member.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Connections: len(s.sessions),
		Accepted:    s.accepted,
		Refused:     s.refused,
	}
	s.room.stats(&st)
	return st
}

// Flush blocks until everything published before the call has been written to
// the members' connections, those excepted that have left, or until ctx ends,
// whose error it then returns.
func (s *Server) Flush(ctx context.Context) error {
	if !s.room.flush(ctx) {
		return ctx.Err()
	}
	return nil
}

func (s *Server) log(level slog.Level, msg string, attrs ...slog.Attr) {
	s.cfg.logger.LogAttrs(context.Background(), level, msg, attrs...)
}

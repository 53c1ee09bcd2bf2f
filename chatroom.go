package chatroom

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrServerClosed is what [Server.Serve], [Server.ServeConn] and [Server.Broadcast]
// return once [Server.Shutdown] or [Server.Close] has been called. Leave hooks get it
// as the reason of each member that the server's end has disconnected.
var ErrServerClosed = errors.New("chatroom: server closed")

// A Server is a host of chat rooms. Create one with [NewServer], give it connections with
// [Server.Serve] or [Server.ServeConn], and end it with [Server.Shutdown] or
// [Server.Close]. All methods are safe for concurrent use. Hooks may call them; see
// Shutdown for how.
type Server struct {
	// Fixed after construction.
	cfg  serverConfig
	only [1]*room // the room "", which is the only one on most servers

	// The server's end closes these: ending when it begins, sealed when nothing more
	// is published, and ended when nothing is left.
	ending, sealed, ended chan struct{}

	// hookCtx is the parent of the contexts of all hooks but leave hooks. It ends when
	// the server's end begins. leaveCtx is the parent of the contexts of leave hooks, and
	// bounds how long the order may take to settle. It ends with Close.
	hookCtx, leaveCtx       context.Context
	endHookCtx, endLeaveCtx context.CancelFunc

	refusalLog occasion      // decides which refused connections are logged
	frames     budget        // the memory for unfinished frames, in bytes
	written    atomic.Uint64 // bytes, to members

	// mu guards the fields below. It is taken before room.mu and never held
	// across I/O or a hook.
	mu        sync.Mutex
	closing   bool
	listeners map[*onceCloser]struct{}
	sessions  map[*session]struct{}
	rooms     map[string]*room
	lastID    uint64 // of members
	accepted  uint64
	refusals  Refusals
	conns     conns
	past      RoomStats // of the rooms that no longer exist

	// Rooms that are empty, and are kept for their history.
	empty      list.List   // of *room, the one that has been empty for longest first
	emptyBytes int64       // of their histories
	emptyTimer *time.Timer // runs forgetEmpty; nil until first needed

	// running counts all sessions, reading those that may publish. Add is called only
	// within unlessClosing.
	running, reading sync.WaitGroup

	// submitting counts the program's messages that the order is being given. Add is called
	// only within unlessClosing.
	submitting sync.WaitGroup

	// sweepers counts the goroutines that run a room's sweep. Add is called under the
	// room's lock while a session of that room runs.
	sweepers sync.WaitGroup
}

// NewServer returns a server with one empty room. It starts no goroutine, so a server
// that never serves anything needs no Shutdown or Close, unless its [Order] does.
func NewServer(opts ...ServerOption) *Server {
	cfg := newServerConfig(opts)
	if o, ok := cfg.order.(interface {
		Admit(ctx context.Context, j *Join) error
	}); ok {
		cfg.admit = slices.Insert(cfg.admit, 0, o.Admit)
	}
	s := &Server{
		cfg:       cfg,
		ending:    make(chan struct{}),
		sealed:    make(chan struct{}),
		ended:     make(chan struct{}),
		listeners: make(map[*onceCloser]struct{}),
		sessions:  make(map[*session]struct{}),
		rooms:     make(map[string]*room),
		frames:    budget{left: maxFrameBytes},
	}
	s.hookCtx, s.endHookCtx = context.WithCancel(context.Background())
	s.leaveCtx, s.endLeaveCtx = context.WithCancel(context.Background())
	s.only[0] = s.roomLocked("")
	if cfg.order != nil {
		cfg.order.Attach(s)
	}
	return s
}

// Serve accepts connections from l and serves each on a goroutine of its own. It blocks
// until l fails or the server ends. It always closes l, and always returns an error:
// [ErrServerClosed] after [Server.Shutdown] or [Server.Close]. A server may serve
// several listeners at the same time. When l fails with a temporary error, such as too
// many open files, Serve logs the error and tries again after 5 ms. Each further
// failure in a row doubles that pause, up to a second.
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
			sess, err := s.register(nc, true)
			switch err {
			case nil:
				go sess.run()
			case ErrServerFull:
				_ = nc.Close()
				s.logRefused(slog.Any("reason", err))
			default:
				_ = nc.Close()
				return err
			}
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

// A onceCloser closes a listener, and does so only once.
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

// ServeConn serves one connection that the caller has accepted. It blocks until the
// member has left and its last leave hook has returned, and always closes nc. It
// returns the reason that [WithOnLeave] hooks get, which is nil for a clean goodbye. If
// the connection never became a member, it returns why, such as [ErrNameRejected]. When
// ctx ends, the connection is closed and the error matches ctx.Err(). The contexts of
// hooks have the values of ctx.
//
// The deadlines of nc must work: the server's timeouts and its graceful end use them.
//
// Three methods of nc are optional. If it has a Room() string, that is [Join.Room] before
// the admit hooks run. If it has an Admitted(), the server calls that when they have let
// the member in, so that nc can let go of what only they need. If it has a
// SetCloseReason(reason error), the server calls that before it ends the connection, with
// CloseWrite or Close, so that nc can tell its peer why. This may happen more than once,
// and the last call counts.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) error {
	// This goroutine is there for as long as the member is idle. What needs a large stack
	// runs on another one.
	entered := make(chan entry, 1)
	go s.enter(ctx, nc, entered)
	e := <-entered
	if e.err != nil {
		return e.err
	}
	return e.sess.stay()
}

// An entry is a connection that has been let in, or why it was not.
type entry struct {
	sess *session
	err  error
}

// enter does what comes before stay, for ServeConn.
func (s *Server) enter(ctx context.Context, nc net.Conn, entered chan<- entry) {
	e := entry{err: ErrHookFailed} // if a hook ends the goroutine
	defer func() { entered <- e }()
	sess, err := s.register(nc, false)
	if err != nil {
		_ = nc.Close()
		e.err = err
		return
	}
	sess.values = ctx
	if ctx.Done() != nil {
		sess.unwatch = context.AfterFunc(ctx, func() {
			sess.abort(fmt.Errorf("chatroom: serve connection: %w", ctx.Err()))
		})
	}
	e = entry{sess, sess.enter()}
}

// register makes a session for nc, so that the server's end reaches the connection from
// its first moment. A connection is counted, and bounded, if it comes from a listener.
func (s *Server) register(nc net.Conn, counted bool) (*session, error) {
	full := false
	var sess *session
	err := s.unlessClosing(func() {
		s.accepted++
		if full = counted && !s.conns.hasRoom(s.cfg.maxConns); full {
			s.refusals.ServerFull++
			return
		}
		sess = newSession(s, nc)
		if sess.counted = counted; counted {
			s.conns.all++
			s.conns.strangers++
			sess.stranger = true
		}
		s.sessions[sess] = struct{}{}
		s.running.Add(1)
	})
	if full {
		err = ErrServerFull
	}
	return sess, err
}

// countIP counts sess by its address if it comes from a listener.
func (s *Server) countIP(sess *session) error {
	ip := ipOf(sess.RemoteAddr)
	if s.cfg.maxConnsPerIP == 0 || !sess.counted || !ip.IsValid() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.conns.addIP(ip, s.cfg.maxConnsPerIP) {
		return ErrServerFull
	}
	sess.countedIP = true
	return nil
}

// knowLocked notes that sess has been let in and is no stranger any more. s.mu must be
// held.
func (s *Server) knowLocked(sess *session) {
	if sess.stranger {
		s.conns.strangers--
		sess.stranger = false
	}
}

func (s *Server) unregister(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	if s.knowLocked(sess); sess.counted {
		s.conns.all--
	}
	if sess.countedIP {
		s.conns.removeIP(ipOf(sess.RemoteAddr))
	}
	s.running.Done()
}

// unlessClosing calls do with mu held. If the server is ending, it returns
// ErrServerClosed instead.
func (s *Server) unlessClosing(do func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return ErrServerClosed
	}
	do()
	return nil
}

// logRefused logs a refused connection, at most one a second.
func (s *Server) logRefused(attrs ...slog.Attr) {
	skipped, ok := s.refusalLog.now(logEvery)
	if !ok {
		return
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int("others", skipped))
	}
	s.log(slog.LevelWarn, "refused", attrs...)
}

func (s *Server) log(level slog.Level, msg string, attrs ...slog.Attr) {
	s.cfg.logger.LogAttrs(context.Background(), level, msg, attrs...)
}

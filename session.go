package chatroom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"example.com/chatroom/internal/transport"
)

// ErrNameRejected reports a connection whose name the name rule refused. The
// error that wraps it quotes the name.
var ErrNameRejected = errors.New("chatroom: name rejected")

// A session is one connection on the server's side. One goroutine at a time leads it:
// enter makes the handshake and lists the member, stay reads its messages and tears
// all down. The seat's writer and closeConn run beside it, and end before it.
type session struct {
	// Fixed after construction, but for what the handshake and the join set. Until the
	// join, mu guards seat.room.
	seat
	srv     *Server
	nc      net.Conn
	counted bool            // among Server.conns
	values  context.Context // that hooks' contexts have; nil for none
	unwatch func() bool     // ends what ends the session with ServeConn's context; nil for nothing

	// Guarded by Server.mu.
	stranger  bool // it counts as one
	countedIP bool // by its address

	// Owned by the leading goroutine.
	in       frameReader
	excess   share    // what the reader has of Server.frames, in bytes
	maxTotal int64    // how many bytes may be read before last reads get no more time; zero is not set yet
	byHook   bool     // an admit hook has refused it, or a message hook has ended it
	filtered *Message // what message hooks are given; nil until there was one

	// The context of hooks; nil while none runs.
	hookCtx context.Context

	// closer counts the goroutine that closes the connection.
	closer sync.WaitGroup

	// mu guards the fields below. It is taken last and never held across I/O.
	mu         sync.Mutex
	state      sessionState
	reason     error              // why it is hanging up
	writeErr   error              // why nothing more is written
	readBy     time.Time          // until when it is read after writeErr
	gone       chan struct{}      // closed when it hangs up; made when somebody waits for it
	patience   *time.Timer        // ends a kicked member's time; nil if it was not kicked
	endHookCtx context.CancelFunc // ends hookCtx; nil while there is none
	submits    *submits           // nil until something was submitted to the order
}

type sessionState uint8

const (
	sessionNew       sessionState = iota // its name is not known yet; the server's end drops it at once
	sessionAdmitted                      // it is a member, or about to be; the server's end waits until it has what it is owed
	sessionKicked                        // it is off the list, and is written what it is owed
	sessionHangingUp                     // this end has ended the connection
)

func newSession(srv *Server, nc net.Conn) *session {
	s := &session{srv: srv, nc: nc}
	s.excess.of = &srv.frames
	s.in.limit = min(srv.cfg.maxMessage, maxNameFrame)
	s.owner = s
	s.until.Store(math.MaxInt64)
	s.conn = transport.New(nc, srv.cfg.writeTimeout)
	return s
}

// moveLocked moves the session to a later state. It reports false if it is there or
// has passed it. s.mu must be held.
func (s *session) moveLocked(to sessionState) bool {
	if s.state >= to {
		return false
	}
	s.state = to
	if to >= sessionKicked && s.endHookCtx != nil {
		s.endHookCtx()
	}
	if to >= sessionKicked && s.submits != nil {
		s.submits.end()
	}
	if to == sessionHangingUp {
		if s.gone != nil {
			close(s.gone)
		}
		if s.patience != nil {
			s.patience.Stop()
		}
		s.closer.Go(s.closeConn)
	}
	return true
}

func (s *session) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moveLocked(sessionAdmitted)
}

func (s *session) isNew() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == sessionNew
}

// abort ends the connection. The reason is this one, unless there is one already. It is
// safe for concurrent use.
func (s *session) abort(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state < sessionKicked {
		s.reason = reason
	}
	s.moveLocked(sessionHangingUp)
}

// kick takes the member off the list, and ends the session when it has been written
// what it is owed, or after kickTimeout, whatever its hooks do.
func (s *session) kick(reason error) {
	s.mu.Lock()
	if s.moveLocked(sessionKicked) {
		s.reason = reason
		s.patience = time.AfterFunc(kickTimeout, func() { s.abort(nil) }) // the reason is known
	}
	s.mu.Unlock()
	s.room.kick(&s.seat) // also if it is ending already, which may not have come to the list
	s.conn.StopReading()
}

func (s *session) isKicked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == sessionKicked
}

// setRoom sets the room that the session is about to join. It reports false if this end
// has ended the connection.
func (s *session) setRoom(r *room) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = r
	return s.state < sessionHangingUp
}

// leaveRoom takes the member off the list. If it has not joined yet, it never does.
func (s *session) leaveRoom() {
	s.mu.Lock()
	r := s.room
	s.mu.Unlock()
	if r != nil {
		r.leave(&s.seat)
	}
}

// Done returns a channel that is closed when this end has ended the connection.
func (s *session) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.gone = make(chan struct{})
		if s.state == sessionHangingUp {
			close(s.gone)
		}
	}
	return s.gone
}

// run serves a connection of a listener's. It returns when the connection has ended,
// or once stay serves it.
func (s *session) run() {
	if s.enter() == nil {
		// This goroutine is there for every idle member. A new one has a small
		// stack. Hooks and the log tell why it ends.
		go func() { _ = s.stay() }()
	}
}

// enter makes the handshake and lists the member. If it fails, or a hook ends the
// goroutine, nothing is left of the session.
func (s *session) enter() (err error) {
	joined := false
	err = ErrHookFailed // if a hook ends the goroutine
	defer func() {
		switch {
		case err == nil:
		case joined:
			err = s.leave(err)
		default:
			err = s.refuse(err)
		}
	}()
	var deadline time.Time
	if d := s.srv.cfg.handshakeTimeout; d > 0 {
		deadline = time.Now().Add(d)
		s.conn.SetReadDeadline(deadline)
	}
	s.RemoteAddr = s.nc.RemoteAddr() // which may read from the peer, behind a proxy
	if err := s.srv.countIP(s); err != nil {
		return err
	}
	if err := s.handshake(deadline); err != nil {
		return err
	}
	if err := s.srv.join(s); err != nil {
		return err
	}
	joined = true
	s.srv.log(slog.LevelInfo, "joined", s.attrs()...)
	if err := s.runJoinHooks(); err != nil {
		return err
	}
	if len(s.srv.cfg.onMessage)+len(s.srv.cfg.onLeave) == 0 {
		s.values = nil // no hook is left to ask for them
	}
	return nil
}

// handshake reads the member's name and admits the member. The deadline is zero for
// none.
func (s *session) handshake(deadline time.Time) error {
	name, ok, err := s.in.next()
	for ; !ok && err == nil; name, ok, err = s.in.next() {
		if err := s.in.fillFrom(s.conn); err != nil {
			return fmt.Errorf("chatroom: read name: %w", err)
		}
	}
	if err != nil {
		return err
	}
	join := Join{Name: string(name), Conn: s.nc, Server: s.srv}
	if c, ok := s.nc.(interface{ Room() string }); ok {
		join.Room = c.Room()
	}
	if err := s.runAdmitHooks(&join, deadline); err != nil {
		return err
	}
	if c, ok := s.nc.(interface{ Admitted() }); ok {
		c.Admitted()
	}
	s.Name, s.Value = join.Name, join.Value
	s.ref = &memberRef{server: s.srv, room: join.Room}
	s.ref.session.Store(s)
	s.prefix = AppendFrame(make([]byte, 0, headerLen+len(s.Name)), []byte(s.Name))
	var ruling error
	err = s.runHook("name rule", func() { ruling = s.srv.cfg.nameRule(s.Name) })
	switch {
	case err != nil:
		return err
	case ruling != nil:
		return fmt.Errorf("%w: %.100q: %w", ErrNameRejected, s.Name, ruling)
	}
	s.conn.SetReadDeadline(time.Time{})
	s.in.limit = s.srv.cfg.maxMessage
	return s.srv.unlessClosing(func() { // from here on the server's end is graceful to it
		s.srv.knowLocked(s)
		s.admit()
	})
}

// stay publishes what the member sends until it goes. When nothing is left of the
// session it returns why.
func (s *session) stay() (reason error) {
	reason = ErrHookFailed // if a hook ends the goroutine
	defer func() {
		switch {
		case s.isKicked():
			s.writeRest()
		case reason == ErrServerClosed && s.srv.isClosing():
			s.drain()
		}
		reason = s.leave(reason)
	}()
	return s.readLoop()
}

func (s *session) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Uint64("id", s.ID),
		slog.String("name", s.Name),
		slog.String("room", s.Member.Room().Name()),
		slog.Any("remote", s.RemoteAddr),
	}
}

package chatroom

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"example.com/chatroom/internal/transport"
)

// lastReadsTimeout is how long a member is still read after writing to it has failed.
// The time in which its messages wait to be published does not count.
const lastReadsTimeout = 500 * time.Millisecond

// ErrNameRejected reports a connection whose name the name rule refused. The
// error that wraps it quotes the name.
var ErrNameRejected = errors.New("chatroom: name rejected")

// A session is one connection on the server's side. One goroutine at a time leads it:
// enter makes the handshake and lists the member, stay reads its messages and tears
// all down. The seat's writer and closeConn run beside it, and end before it.
type session struct {
	// Fixed after construction, but for what the handshake and the join set.
	seat
	srv *Server
	nc  net.Conn

	// Owned by the leading goroutine.
	in       frameReader
	maxTotal int64 // how many bytes may be read before last reads get no more time; zero is not set yet

	// closer counts the goroutine that closes the connection.
	closer sync.WaitGroup

	// mu guards the fields below. It is taken last and never held across I/O.
	mu       sync.Mutex
	state    sessionState
	reason   error         // why it is hanging up
	writeErr error         // why nothing more is written
	readBy   time.Time     // until when it is read after writeErr
	gone     chan struct{} // closed when it hangs up; made when somebody waits for it
}

type sessionState uint8

const (
	sessionNew       sessionState = iota // its name is not known yet; the server's end drops it at once
	sessionAdmitted                      // it is a member, or about to be; the server's end waits until it has what it is owed
	sessionHangingUp                     // this end has ended the connection
)

func newSession(srv *Server, nc net.Conn) *session {
	s := &session{srv: srv, nc: nc}
	s.in.limit = srv.cfg.maxMessage
	s.room, s.owner = srv.room, s
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
	if to == sessionHangingUp {
		if s.gone != nil {
			close(s.gone)
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

// abort ends the connection with reason, and reports whether it was the first to. It
// is safe for concurrent use.
func (s *session) abort(reason error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state < sessionHangingUp {
		s.reason = reason
	}
	return s.moveLocked(sessionHangingUp)
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

// closeConn runs on a goroutine of its own.
func (s *session) closeConn() {
	s.room.leave(&s.seat) // first, since a peer that sees the end must not be listed
	s.mu.Lock()
	slow := errors.Is(s.reason, ErrSlowConsumer)
	s.mu.Unlock()
	if slow {
		s.conn.Abandon()
	} else {
		s.conn.Close()
	}
}

// writeFailed ends the session of a slow consumer. After any other error the peer has
// gone. It may have sent messages and a clean goodbye before, so it is still read, for
// a moment.
func (s *session) writeFailed(err error) {
	if errors.Is(err, transport.ErrStalled) {
		if s.abort(fmt.Errorf("%w: %w", ErrSlowConsumer, err)) {
			s.room.slow.Add(1)
		}
		return
	}
	s.mu.Lock()
	s.writeErr = fmt.Errorf("chatroom: write message: %w", err)
	s.mu.Unlock()
	s.extendLastReads()
}

// extendLastReads gives a member that cannot be written to any more lastReadsTimeout
// from now to be read.
func (s *session) extendLastReads() {
	s.mu.Lock()
	s.readBy = time.Now().Add(lastReadsTimeout)
	s.mu.Unlock()
	s.limitLastReads()
}

// limitLastReads sets the read deadline of a member that cannot be written to any
// more.
func (s *session) limitLastReads() {
	s.mu.Lock()
	failed, readBy := s.writeErr != nil, s.readBy
	s.mu.Unlock()
	if failed {
		s.conn.SetReadDeadline(readBy)
	}
}

func (s *session) hasWriteFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeErr != nil
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
	if d := s.srv.cfg.handshakeTimeout; d > 0 {
		s.conn.SetReadDeadline(time.Now().Add(d))
	}
	s.RemoteAddr = s.nc.RemoteAddr() // which may read from the peer, behind a proxy
	if err := s.handshake(); err != nil {
		return err
	}
	if err := s.room.join(&s.seat); err != nil {
		return err
	}
	joined = true
	s.srv.log(slog.LevelInfo, "accepted", s.attrs()...)
	return s.runJoinHooks()
}

// handshake reads the member's name and admits the member.
func (s *session) handshake() error {
	name, ok, err := s.in.next()
	for ; !ok && err == nil; name, ok, err = s.in.next() {
		if err := s.in.fillFrom(s.conn); err != nil {
			return fmt.Errorf("chatroom: read name: %w", err)
		}
	}
	if err != nil {
		return err
	}
	s.Name = string(name)
	s.prefix = AppendFrame(make([]byte, 0, headerLen+len(name)), name)
	var ruling error
	err = s.runHook("name rule", func() { ruling = s.srv.cfg.nameRule(s.Name) })
	switch {
	case err != nil:
		return err
	case ruling != nil:
		return fmt.Errorf("%w: %.100q: %w", ErrNameRejected, s.Name, ruling)
	}
	s.conn.SetReadDeadline(time.Time{})
	return s.srv.unlessClosing(s.admit) // from here on the server's end is graceful to it
}

// refuse ends a connection that was never a member.
func (s *session) refuse(err error) error {
	defer s.srv.unregister(s)
	s.srv.refused.Add(1) // before the peer can see that it is
	err = s.finish(err)
	s.srv.log(slog.LevelWarn, "refused", slog.Any("remote", s.RemoteAddr), slog.Any("reason", err))
	return err
}

// stay publishes what the member sends until it goes. When nothing is left of the
// session it returns why.
func (s *session) stay() error {
	reason := s.readLoop()
	if reason == ErrServerClosed {
		s.drain()
	}
	return s.leave(reason)
}

// drain waits, during the server's shutdown, until the member has been written all
// that it is owed, and says goodbye.
func (s *session) drain() {
	select {
	case <-s.srv.sealed: // nothing more is published
	case <-s.Done():
		return
	}
	if s.room.awaitWritten(&s.seat, s.room.logEnd(), s) && !s.hasWriteFailed() {
		s.conn.Goodbye()
	}
}

func (s *session) leave(reason error) error {
	defer s.srv.unregister(s)
	reason = s.finish(reason)
	level, attrs := slog.LevelInfo, s.attrs()
	if errors.Is(reason, ErrSlowConsumer) {
		level = slog.LevelWarn
	}
	if reason != nil {
		attrs = append(attrs, slog.Any("reason", reason))
	}
	s.srv.log(level, "closed", attrs...)
	s.runLeaveHooks(reason)
	return reason
}

// finish takes the member off the list, closes the connection and waits for the
// session's other goroutines. It returns why the session has ended. A failed write
// counts more than the reads after it, but less than a clean goodbye or the server's
// end. A reset counts more than a goodbye.
func (s *session) finish(reason error) error {
	s.room.leave(&s.seat)
	if reason == nil {
		if reset := s.conn.WriteReset(); reset != nil {
			reason = fmt.Errorf("chatroom: write message: %w", reset)
		}
	} else {
		s.mu.Lock()
		if s.writeErr != nil && reason != ErrServerClosed {
			reason = s.writeErr
		}
		s.mu.Unlock()
	}
	s.abort(reason)
	s.writer.Wait()
	s.closer.Wait()
	s.in.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

func (s *session) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Uint64("id", s.ID),
		slog.String("name", s.Name),
		slog.Any("remote", s.RemoteAddr),
	}
}

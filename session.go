package chatroom

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// lingerTimeout is how long a member's connection is kept, after all it was
	// owed is written, for the member to read it: closing with bytes of the
	// member's unread would reset a TCP connection and lose what is in flight.
	// It is also for how long one is read, not counting the time in which its
	// messages are held, that cannot be written to any more, and how much later
	// than its deadline a read may end.
	lingerTimeout = 500 * time.Millisecond
)

// ErrNameRejected reports a connection whose name the name rule refused. The
// error that wraps it quotes the name.
var ErrNameRejected = errors.New("chatroom: name rejected")

// longAgo is a deadline that is always over.
var longAgo = time.Unix(1, 0)

// A session is one connection on the server's side. One goroutine at a time
// leads it: enter makes the handshake and lists the member, stay reads its
// messages and tears all down. A writer, writeOwed, runs only while the member is
// owed something; a closer, closeConn, runs once. Both end before the session
// does.
type session struct {
	// Fixed after construction, but for what the handshake and the join set.
	member
	srv     *Server
	nc      net.Conn
	layered bool            // nc is on top of another connection, as TLS is
	guard   *readGuard      // of its reads, if it is layered
	resumes bool            // nc is a syscall.Conn, so a write that meets its deadline can go on after it
	raw     syscall.RawConn // of nc, if that can be read and written without waiting; or nil

	// Owned by the leading goroutine.
	in        frameReader
	read      readiness
	published int64 // bytes
	lastBytes int64 // up to how many are waited for although writing has failed; zero before they have to be

	// Owned by the writer.
	writeBy time.Time // nc's write deadline

	// writes counts the writes to nc under way. One that fails notes a reset
	// before it is over. The last to end puts a token into quiet, if somebody
	// waits for it.
	writes atomic.Int32
	quiet  atomic.Pointer[chan struct{}]

	// stopping says to read no more. It is set before the read deadline is
	// moved to the past.
	stopping atomic.Bool

	// admitted is guarded by Server.mu: the session may be a member.
	admitted bool

	// closer counts the goroutine that closes nc.
	closer sync.WaitGroup

	// mu guards the fields below. It is taken last and never held across I/O.
	mu       sync.Mutex
	aborted  bool
	reason   error         // why aborted
	writeErr error         // why nothing more is written
	resetErr error         // a reset that a write has met
	readBy   time.Time     // when writeErr is set: until when the rest is read
	ended    chan struct{} // closed when aborted; made when somebody waits for it
}

// A layer is a connection on top of another one, such as a *tls.Conn.
type layer interface {
	NetConn() net.Conn
}

func newSession(srv *Server, nc net.Conn) *session {
	s := &session{srv: srv, nc: nc}
	s.in.limit = srv.cfg.maxMessage
	s.RemoteAddr = nc.RemoteAddr()
	s.at, s.out = -1, s
	if s.raw = rawConn(nc); s.raw != nil {
		s.sweeps = true
		s.read.init(&s.in)
	}
	if _, s.layered = nc.(layer); s.layered {
		s.guard = &readGuard{overdue: s.readOverdue}
	}
	_, s.resumes = nc.(syscall.Conn)
	return s
}

// run serves a connection of a listener's. It ends when the connection has ended
// or, once that is a member's, has been handed over to stay.
func (s *session) run() {
	if s.enter() == nil {
		// A goroutine that has never called deep has a small stack, and this is
		// the one that is there for every idle member. Hooks and the log tell
		// why it ends.
		go func() { _ = s.stay() }()
	}
}

// enter makes the handshake and lists the member. If it fails, or a hook ends
// the goroutine as a failed test does, nothing is left of the session, and the
// error says why.
func (s *session) enter() (err error) {
	joined := false
	err = errHookFailed
	defer func() {
		switch {
		case err == nil:
		case joined:
			err = s.leave(err)
		default:
			err = s.refuse(err)
		}
	}()
	if err := s.handshake(); err != nil {
		return err
	}
	if err := s.srv.room.join(&s.member); err != nil {
		return err
	}
	joined = true
	s.srv.log(slog.LevelInfo, "accepted", s.attrs()...)
	return s.tellJoin()
}

// refuse ends a connection that was never a member.
func (s *session) refuse(err error) error {
	defer s.srv.unregister(s)
	s.srv.countRefused() // before the peer can see that it is
	err = s.finish(err)
	s.srv.log(slog.LevelWarn, "refused", slog.Any("remote", s.RemoteAddr), slog.Any("reason", err))
	return err
}

// stay passes on what the member sends until it goes, and returns why when
// nothing is left of the session.
func (s *session) stay() error {
	reason := s.readLoop()
	if reason == ErrServerClosed {
		s.drain()
	}
	return s.leave(reason)
}

// leave ends a member's session.
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
	s.tellLeave(reason)
	return reason
}

// handshake reads the member's name.
func (s *session) handshake() error {
	if d := s.srv.cfg.handshakeTimeout; d > 0 {
		_ = s.nc.SetDeadline(time.Now().Add(d)) // fails only when the connection has ended, which reading tells better
	}
	name, ok, err := s.in.next()
	for ; !ok && err == nil; name, ok, err = s.in.next() {
		if err := s.fill(0); err != nil {
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
	_ = s.nc.SetDeadline(time.Time{}) // as above
	return s.srv.admit(s)
}

// gone implements outlet.
func (s *session) gone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = make(chan struct{})
		if s.aborted {
			close(s.ended)
		}
	}
	return s.ended
}

// isGone implements outlet.
func (s *session) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aborted
}

// stop ends the reading; what has been read is passed on.
func (s *session) stop() {
	if s.stopping.Swap(true) {
		return
	}
	_ = s.nc.SetReadDeadline(longAgo) // fails only when the connection has ended
	if s.guard != nil {
		s.guard.limit(lingerTimeout)
	}
}

// drain waits, at the server's end, until the member has been sent all it is
// owed, which is known once nobody publishes any more.
func (s *session) drain() {
	select {
	case <-s.srv.sealed:
	case <-s.gone():
		return
	}
	if !s.srv.room.flush(s.gone(), &s.member) || s.deafened() {
		return
	}
	half, ok := s.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	discardUntil(s.nc, time.Now().Add(lingerTimeout))
}

// discardUntil reads and drops what nc still brings, until it ends or the
// deadline comes.
func discardUntil(nc net.Conn, deadline time.Time) {
	for err := os.ErrDeadlineExceeded; errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline); {
		// Again, if a stop that came late has moved the deadline meanwhile.
		if err = nc.SetReadDeadline(deadline); err == nil {
			_, err = io.Copy(io.Discard, nc)
		}
	}
}

// evict implements outlet.
func (s *session) evict(reason error) bool { return s.abort(reason) }

// abort ends the connection with reason, and reports whether it was not ending
// already. It does not block, and may be called by anyone.
func (s *session) abort(reason error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted {
		return false
	}
	s.aborted, s.reason = true, reason
	if s.ended != nil {
		close(s.ended)
	}
	s.closer.Go(s.closeConn)
	return true
}

func (s *session) closeConn() {
	s.srv.room.leave(&s.member) // first, so that a peer that finds itself hung up on is not listed
	if s.guard != nil && s.guard.underWay() {
		_ = s.nc.SetWriteDeadline(longAgo) // a read that writes would keep Close waiting, as it does that of TLS
	}
	_ = s.nc.Close() // there is nobody to tell, and nothing to do about it
}

// finish takes the member off the list, closes the connection and waits for the
// session's other goroutines. It returns the reason that came first: a failed
// write came before what was read afterwards, unless that was a clean goodbye,
// which no reset is.
func (s *session) finish(reason error) error {
	s.srv.room.leave(&s.member)
	if reason == nil {
		s.awaitReset()
	}
	s.mu.Lock()
	switch {
	case s.resetErr != nil && reason == nil:
		reason = s.resetErr
	case s.writeErr != nil && reason != nil:
		reason = s.writeErr
	}
	s.mu.Unlock()
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

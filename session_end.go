package chatroom

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/chatroom/internal/transport"
)

const (
	// lastReadsTimeout is how long a member is still read after writing to it has failed.
	// The time in which its messages wait to be published does not count.
	lastReadsTimeout = 500 * time.Millisecond

	// kickTimeout is how long a member that was kicked may take for what it is owed.
	kickTimeout = 5 * time.Second
)

// refuse ends a connection that was never a member.
func (s *session) refuse(err error) error {
	defer s.srv.unregister(s)
	reason, ended := s.reasonOr(err)
	s.srv.countRefusal(reason, s.byHook && !ended) // before the peer can see that it is refused
	if s.byHook {                                  // it may have written to the peer
		s.tellReason(err)
		s.conn.Goodbye()
	}
	err = s.finish(err)
	s.srv.logRefused(slog.Any("remote", s.RemoteAddr), slog.Any("reason", err))
	return err
}

// writeRest waits until a member that was kicked has been written what it was owed
// then, and says goodbye.
func (s *session) writeRest() {
	s.room.kick(&s.seat) // which Kick may not have come to
	if s.room.awaitWritten(&s.seat, s.until.Load(), s) && !s.hasWriteFailed() {
		s.leaveRoom() // or the log would be kept for it
		s.tellReason(nil)
		s.conn.Goodbye()
	}
}

// drain waits, during the server's shutdown, until the member has been written all
// that it is owed, and says goodbye.
func (s *session) drain() {
	select {
	case <-s.srv.sealed: // nothing more is published
	case <-s.Done():
		return
	}
	upTo := min(s.room.logEnd(), s.until.Load()) // it may have been kicked meanwhile
	if s.room.awaitWritten(&s.seat, upTo, s) && !s.hasWriteFailed() {
		s.tellReason(ErrServerClosed)
		s.conn.Goodbye()
	}
}

func (s *session) leave(reason error) error {
	defer s.srv.unregister(s)
	reason = s.finish(reason)
	s.srv.countLeave(s.room, reason, s.byHook)
	level, attrs := slog.LevelInfo, s.attrs()
	if errors.Is(reason, ErrSlowConsumer) {
		level = slog.LevelWarn
	}
	if reason != nil {
		attrs = append(attrs, slog.Any("reason", reason))
	}
	s.srv.log(level, "left", attrs...)
	s.runLeaveHooks(reason)
	return reason
}

// finish takes the member off the list, closes the connection and waits for the
// session's other goroutines. It returns why the session has ended. A failed write
// counts more than the reads after it, but less than a clean goodbye, a verdict of a
// hook's or the order's, or the server's end. A reset counts more than a goodbye.
func (s *session) finish(reason error) error {
	s.leaveRoom()
	if reason == nil {
		if reset := s.conn.WriteReset(); reset != nil {
			reason = fmt.Errorf("chatroom: write message: %w", reset)
		}
	} else {
		verdict := reason == ErrServerClosed || s.byHook || errors.Is(reason, ErrHookFailed) || errors.Is(reason, ErrUnavailable)
		s.mu.Lock()
		if s.writeErr != nil && !verdict {
			reason = s.writeErr
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	if s.state >= sessionKicked {
		s.byHook = false // there was another reason before
	} else {
		s.reason = reason
	}
	s.moveLocked(sessionHangingUp)
	s.mu.Unlock()
	s.writer.Wait()
	s.closer.Wait()
	if s.unwatch != nil {
		s.unwatch()
	}
	s.in.release()
	s.excess.shrink(0)
	s.endHooks()
	reason, _ = s.reasonOr(nil)
	return reason
}

// reasonOr returns why this end has ended the connection, or err if it has not.
func (s *session) reasonOr(err error) (reason error, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state >= sessionKicked {
		return s.reason, true
	}
	return err, false
}

// closeConn runs on a goroutine of its own.
func (s *session) closeConn() {
	s.leaveRoom() // first, since a peer that sees the end must not be listed
	s.tellReason(nil)
	reason, _ := s.reasonOr(nil)
	if errors.Is(reason, ErrSlowConsumer) {
		s.conn.Abandon()
	} else {
		s.conn.Close()
	}
}

// tellReason tells the connection why this end is about to hang up, if it can pass that
// on. If there is no reason yet, it is err.
func (s *session) tellReason(err error) {
	if c, ok := s.nc.(interface{ SetCloseReason(reason error) }); ok {
		reason, _ := s.reasonOr(err)
		c.SetCloseReason(reason)
	}
}

// writeFailed ends the session of a slow consumer. After any other error the peer has
// gone. It may have sent messages and a clean goodbye before, so it is still read, for
// a moment.
func (s *session) writeFailed(err error) {
	if errors.Is(err, transport.ErrStalled) {
		s.abort(fmt.Errorf("%w: %w", ErrSlowConsumer, err))
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

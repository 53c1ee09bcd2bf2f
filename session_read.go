package chatroom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

const (
	// publishBatch is how many messages are published under one lock at most.
	publishBatch = 16

	// maxLastBytes is how many bytes of a member that cannot be written to any more
	// are waited for while they are held: more than sockets mostly buffer.
	maxLastBytes = 8 << 20

	// maxLogged is how many bytes of a message's text are logged.
	maxLogged = 256
)

// readLoop publishes what the member sends until the connection ends, and returns
// why. A clean goodbye is nil.
//
// Up to the first message it uses little stack, since it runs for every idle member.
func (s *session) readLoop() error {
	if err := s.srv.unlessClosing(func() { s.srv.reading.Add(1) }); err != nil {
		return err
	}
	if s.hasWriteFailed() { // while a join hook ran
		s.extendLastReads()
	}
	err := s.readMessages()
	s.srv.reading.Done()
	return err
}

func (s *session) readMessages() error {
	for {
		if s.in.partial() {
			waited, err := s.publishBuffered()
			if err != nil {
				return err
			}
			if waited && s.hasWriteFailed() {
				s.extendAfterWait()
			}
		}
		if idle := s.srv.cfg.idleTimeout; idle > 0 {
			s.conn.SetReadDeadline(time.Now().Add(idle))
		}
		s.limitLastReads()
		if err := s.in.fillFrom(s.conn); err != nil {
			return s.readError(err)
		}
	}
}

// extendAfterWait is extendLastReads after messages of the member's had to wait. A
// member that has sent more than maxLastBytes since the first wait gets no more time.
func (s *session) extendAfterWait() {
	if s.maxTotal == 0 {
		s.maxTotal = s.in.total + maxLastBytes
	}
	if s.in.total <= s.maxTotal {
		s.extendLastReads()
	}
}

func (s *session) readError(err error) error {
	switch late := errors.Is(err, os.ErrDeadlineExceeded); {
	case err == io.EOF:
		return nil
	case late && s.srv.isClosing():
		return ErrServerClosed
	case late && s.srv.cfg.idleTimeout > 0:
		return fmt.Errorf("chatroom: idle for %v: %w", s.srv.cfg.idleTimeout, err)
	default:
		return fmt.Errorf("chatroom: read message: %w", err)
	}
}

// publishBuffered publishes the messages that have been read whole, and reports whether
// that had to wait.
func (s *session) publishBuffered() (waited bool, err error) {
	var batch [publishBatch][]byte
	for {
		n := 0
		var bad error
		for n < len(batch) {
			var ok bool
			if batch[n], ok, bad = s.in.next(); !ok {
				break
			}
			n++
		}
		if n > 0 {
			s.logMessages(batch[:n])
			batchWaited, err := s.room.publish(&s.seat, batch[:n])
			if waited = waited || batchWaited; err != nil {
				return waited, err
			}
		}
		if bad != nil || n < len(batch) {
			return waited, bad
		}
	}
}

func (s *session) logMessages(messages [][]byte) {
	if !s.srv.cfg.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	for _, body := range messages {
		text := string(body[:min(len(body), maxLogged)])
		s.srv.log(slog.LevelDebug, "message", append(s.attrs(), slog.String("text", text), slog.Int("bytes", len(body)))...)
	}
}

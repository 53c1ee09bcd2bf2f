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
	// publishBatch is how many messages are published under one lock.
	publishBatch = 16

	// maxLastBytes is how much of what a member sent before writing to it failed is
	// waited for while it is held, in bytes: more than the sockets of a connection
	// mostly buffer.
	maxLastBytes = 8 << 20

	// maxLogged is how much of a message's text is logged, in bytes.
	maxLogged = 256
)

// readLoop publishes what the member sends until the connection ends, and
// returns why: nil for a clean goodbye.
//
// It is careful with its stack, and that of what it calls before the first
// message, because there is one for every idle member.
func (s *session) readLoop() error {
	if !s.srv.startReading() {
		return ErrServerClosed
	}
	if s.limitLastReads() {
		s.listen() // anew, since writing has failed while a join hook ran
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
			if waited && s.limitLastReads() {
				s.listenLonger()
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

// listenLonger is listen after messages of the member's had to wait. One that has
// sent more since than a connection may have had under way gets no more time.
func (s *session) listenLonger() {
	if s.lastByte == 0 {
		s.lastByte = s.in.total + maxLastBytes
	}
	if s.in.total <= s.lastByte {
		s.listen()
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

// publishBuffered publishes the messages of which the last byte has been read, and
// reports whether that had to wait.
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
			held, err := s.room.publish(&s.seat, batch[:n])
			if waited = waited || held; err != nil {
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

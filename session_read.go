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
	s.linger() // anew, if writing has failed while a join hook ran
	err := s.readMessages()
	s.srv.stopReading()
	return err
}

func (s *session) readMessages() error {
	for {
		if s.in.partial() {
			if err := s.publishBuffered(); err != nil {
				return err
			}
			if s.waited {
				s.waited = false
				s.lingerLonger()
			}
		}
		if s.srv.cfg.idleTimeout > 0 {
			_ = s.nc.SetReadDeadline(time.Now().Add(s.srv.cfg.idleTimeout)) // as in handshake
		}
		// Both are set before they move the read deadline, so none is missed.
		if s.stopping.Load() {
			return ErrServerClosed
		}
		s.limitLastReads()
		if err := s.fill(s.srv.cfg.idleTimeout); err != nil {
			return s.readError(err)
		}
	}
}

// fill waits for input and reads some of it. It must end with the idle timeout,
// if that is given.
func (s *session) fill(idle time.Duration) error {
	switch {
	case s.raw != nil:
		return s.read.fill(s.raw)
	case s.guard != nil:
		return s.fillGuarded(idle)
	default:
		return s.in.fill(s.nc)
	}
}

func (s *session) fillGuarded(idle time.Duration) error {
	s.guard.begin()
	defer s.guard.end()
	if idle > 0 {
		s.guard.limit(idle + lingerTimeout)
	}
	if s.stopping.Load() { // stop may have missed the beginning
		s.guard.limit(lingerTimeout)
	}
	return s.in.fill(s.nc)
}

// readOverdue ends the connection, a read of which has not ended at its deadline.
func (s *session) readOverdue() {
	s.abort(s.readError(os.ErrDeadlineExceeded))
	_ = s.nc.(layer).NetConn().Close() // the layer's own Close may write, too, and wait for the peer
}

func (s *session) readError(err error) error {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case err == io.EOF:
		return nil
	case late && s.stopping.Load():
		return ErrServerClosed
	case late:
		return fmt.Errorf("chatroom: idle for %v: %w", s.srv.cfg.idleTimeout, err)
	default:
		return fmt.Errorf("chatroom: read message: %w", err)
	}
}

// publishBuffered publishes the messages of which the last byte has been read.
func (s *session) publishBuffered() error {
	var batch [publishBatch][]byte
	for {
		n := 0
		var err error
		for n < len(batch) {
			var ok bool
			if batch[n], ok, err = s.in.next(); !ok {
				break
			}
			n++
		}
		for _, body := range batch[:n] {
			s.published += int64(len(body))
		}
		if n > 0 {
			s.logMessages(batch[:n])
			if err := s.srv.room.publish(&s.member, batch[:n]); err != nil {
				return err
			}
		}
		if err != nil || n < len(batch) {
			return err
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

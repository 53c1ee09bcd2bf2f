package chatroom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

const (
	// publishBatch is how many messages are published under one lock, at most.
	publishBatch = 16

	// maxLastBytes is how many bytes the server waits for from a member that cannot be
	// written to any more, counted from when its messages first had to wait. Most
	// sockets buffer less.
	maxLastBytes = 8 << 20

	// maxLogged is how many bytes of a message's text are logged.
	maxLogged = 256
)

// readLoop publishes what the member sends until the connection ends. It returns why
// that was, or nil for a clean goodbye.
//
// Until the first message it uses little stack, because it runs for every idle member.
func (s *session) readLoop() error {
	if err := s.srv.unlessClosing(func() { s.srv.reading.Add(1) }); err != nil {
		return err
	}
	defer s.srv.reading.Done() // also when a hook ends the goroutine
	if s.hasWriteFailed() {    // while a join hook ran
		s.extendLastReads()
	}
	return s.readMessages()
}

func (s *session) readMessages() error {
	var frame unfinishedFrame
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
		if s.in.partial() || s.excess.n > 0 {
			waited, err := s.adjustExcess()
			if err != nil {
				return err
			}
			if waited { // which was not the member's doing
				frame.since = time.Time{}
			}
		}
		frame.limitRead(s)
		s.limitLastReads()
		if err := s.in.fillFrom(s.conn); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && frame.isOverdue(s) {
				return fmt.Errorf("chatroom: frame unfinished for %v: %w", s.srv.cfg.frameTimeout, err)
			}
			return s.readError(err)
		}
	}
}

// An unfinishedFrame measures how long a frame takes to arrive.
type unfinishedFrame struct {
	begins int64     // where in the stream
	since  time.Time // when it was first seen; zero for no frame
	by     time.Time // the read deadline; zero for none
}

// limitRead sets the deadline of the next read.
func (f *unfinishedFrame) limitRead(s *session) {
	idle, timeout := s.srv.cfg.idleTimeout, s.srv.cfg.frameTimeout
	switch {
	case timeout == 0 || !s.in.partial():
		f.since = time.Time{}
	case f.since.IsZero() || f.begins != s.in.begins():
		f.begins, f.since = s.in.begins(), time.Now()
	}
	var by time.Time
	if !f.since.IsZero() {
		// Setting a deadline for every frame costs too much, as each is a timer. So
		// deadlines are set a little late, and the next frame may keep the last one's.
		by = f.since.Add(timeout)
		if late := f.by.Sub(by); late >= 0 && late <= timeout/16 {
			by = f.by
		} else {
			by = by.Add(timeout / 16)
		}
	}
	if idle > 0 {
		if silent := time.Now().Add(idle); by.IsZero() || silent.Before(by) {
			by = silent
		}
	}
	if by != f.by {
		f.by = by
		s.conn.SetReadDeadline(by)
	}
}

func (f *unfinishedFrame) isOverdue(s *session) bool {
	return !f.since.IsZero() && time.Since(f.since) >= s.srv.cfg.frameTimeout && !s.srv.isClosing()
}

// adjustExcess takes from Server.frames the memory that the next read needs beyond a
// large buffer, or gives back what it no longer needs. If too little is left, it waits,
// for no longer than a frame may take, or may take by default if that is not limited. It
// reports whether it has waited.
func (s *session) adjustExcess() (waited bool, err error) {
	excess := s.in.excess()
	switch need := excess - s.excess.n; {
	case need == 0:
	case need < 0:
		s.excess.shrink(excess)
	case !s.excess.tryGrow(need):
		defer s.endHooks()
		ctx, cancel := context.WithTimeout(s.hookContext(), cmp.Or(s.srv.cfg.frameTimeout, DefaultFrameTimeout))
		defer cancel()
		switch err := s.excess.grow(ctx, need); {
		case err != nil && s.srv.isClosing():
			return true, ErrServerClosed
		case err != nil:
			return true, fmt.Errorf("chatroom: read message: no memory for %d bytes of a frame: %w", need, os.ErrDeadlineExceeded)
		}
		return true, nil
	}
	return false, nil
}

// extendAfterWait does extendLastReads after the member's messages had to wait. A
// member that has sent more than maxLastBytes since the first such wait gets no more
// time.
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
// it had to wait.
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
			if len(s.srv.cfg.onMessage) > 0 {
				break // each is published before the hooks see the next
			}
		}
		if n > 0 {
			batchWaited, err := s.publish(batch[:n])
			if waited = waited || batchWaited; err != nil {
				return waited, err
			}
		}
		if bad != nil || n == 0 || n < len(batch) && len(s.srv.cfg.onMessage) == 0 {
			return waited, bad
		}
	}
}

// publish asks the message hooks, and publishes messages, or submits them to the order. If
// there are hooks, messages has one element. It reports whether the messages had to wait,
// for hooks or for others, or may have had to.
func (s *session) publish(messages [][]byte) (waited bool, err error) {
	prefix := s.prefix
	if len(s.srv.cfg.onMessage) > 0 {
		body := messages[0]
		if s.filtered == nil {
			s.filtered = new(Message)
		}
		defer func() { *s.filtered = Message{} }() // or a member that falls silent would keep the body
		*s.filtered = Message{From: s.Name, Body: body[:len(body):len(body)]}
		err := s.runMessageHooks(s.filtered)
		switch {
		case errors.Is(err, ErrDrop):
			s.room.countDropped(&s.seat)
			return true, nil
		case (errors.Is(err, context.Canceled) || errors.Is(err, ErrServerClosed)) && s.srv.isClosing():
			return false, ErrServerClosed
		case err != nil:
			s.byHook = true
			return false, err
		}
		from, limit := s.filtered.From, s.srv.cfg.maxMessage
		if size := max(len(from), len(s.filtered.Body)); size > limit {
			s.byHook = true
			return false, fmt.Errorf("%w: %d bytes from a message hook, the limit is %d", ErrFrameTooLarge, size, limit)
		}
		if from != s.Name {
			prefix = AppendFrame(nil, []byte(from))
		}
		messages[0] = s.filtered.Body
	}
	s.logMessages(messages)
	if s.srv.cfg.order != nil {
		return true, s.submit(prefix, messages)
	}
	waited, err = s.room.publish(&s.seat, prefix, messages...)
	return waited || len(s.srv.cfg.onMessage) > 0, err
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

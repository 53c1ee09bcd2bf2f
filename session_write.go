package chatroom

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// maxRecord is the most, in bytes, that is written at once to a connection on top
// of another one: a TLS record. A write that times out cannot be resumed there,
// so progress shows only between writes.
const maxRecord = 16 << 10

// writeOwed implements outlet. It ends when nothing is owed or the connection
// fails.
func (s *session) writeOwed() {
	defer s.writer.Done()
	for {
		run := s.srv.room.next(&s.member)
		if len(run) == 0 {
			s.endWriteBy()
			if s.srv.room.tryIdle(&s.member) {
				return
			}
			continue
		}
		n, err := s.write(run)
		s.srv.room.wrote(&s.member, n)
		if err != nil {
			s.writeFailed(err) // first, so that who waits for the writing finds out why it ended
			s.srv.room.deafen(&s.member)
			return
		}
	}
}

// writeFailed ends the writing side. A slow consumer is disconnected. Any other
// failure says that the peer has gone, maybe with messages and a clean goodbye
// sent before, so those are read, for a moment.
func (s *session) writeFailed(err error) {
	if errors.Is(err, ErrSlowConsumer) {
		if s.evict(err) {
			s.srv.room.countSlow()
		}
		return
	}
	s.mu.Lock()
	s.writeErr = fmt.Errorf("chatroom: write message: %w", err)
	s.mu.Unlock()
	s.linger()
	s.limitLastReads()
}

// linger gives the member time, from now on, for what it had sent before writing
// to it failed.
func (s *session) linger() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeErr != nil {
		s.readBy = time.Now().Add(lingerTimeout)
	}
}

// lingerLonger is linger after messages of the member's were held. One that has
// sent more since than a connection may have had under way gets no more time.
func (s *session) lingerLonger() {
	if !s.deafened() {
		return
	}
	if s.lastBytes == 0 {
		s.lastBytes = s.published + recentBytes
	}
	if s.published <= s.lastBytes {
		s.linger()
	}
}

// limitLastReads bounds the reads that follow a failed write.
func (s *session) limitLastReads() {
	s.mu.Lock()
	failed, readBy := s.writeErr != nil, s.readBy
	s.mu.Unlock()
	if failed {
		_ = s.nc.SetReadDeadline(readBy) // fails only when the connection has ended
	}
}

// deafened reports whether writing has failed.
func (s *session) deafened() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeErr != nil
}

// write writes some of p. It fails only when the connection is broken or took
// nothing at all within the write timeout.
func (s *session) write(p []byte) (int, error) {
	if s.layered {
		p = p[:min(len(p), maxRecord)]
	}
	timeout := s.srv.cfg.writeTimeout
	if timeout <= 0 {
		return s.writeOnce(p)
	}
	// A deadline is a timer, which not every write is worth: that of an earlier
	// write serves until it has passed. A write that meets it too early has its
	// own from then on, where it can be resumed.
	start := time.Now()
	if !s.resumes || !start.Before(s.writeBy) {
		s.setWriteBy(start.Add(timeout))
	}
	n, err := s.writeOnce(p)
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late && n == 0 && s.resumes && time.Since(start) < timeout {
		s.setWriteBy(start.Add(timeout))
		n, err = s.writeOnce(p)
		late = errors.Is(err, os.ErrDeadlineExceeded)
	}
	switch {
	case late && n > 0:
		return n, nil
	case late:
		return 0, fmt.Errorf("%w: took nothing for %v: %w", ErrSlowConsumer, timeout, err)
	}
	return n, err
}

func (s *session) writeOnce(p []byte) (int, error) {
	s.writes.Add(1)
	n, err := s.nc.Write(p)
	s.endWrite(err)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return min(max(n, 0), len(p)), err
}

func (s *session) setWriteBy(t time.Time) {
	s.writeBy = t
	_ = s.nc.SetWriteDeadline(t) // as in handshake
}

// endWriteBy takes the write deadline back, which would end the sweep's writes as
// well, and those that a layer makes while it reads.
func (s *session) endWriteBy() {
	if (s.sweeps || s.layered) && !s.writeBy.IsZero() {
		s.setWriteBy(time.Time{})
		if s.isGone() {
			_ = s.nc.SetWriteDeadline(longAgo) // as closeConn has set it, maybe a moment ago
		}
	}
}

// tryWrite implements outlet.
func (s *session) tryWrite(p []byte) (int, error) {
	s.writes.Add(1)
	n, err := tryWrite(s.raw, p)
	s.endWrite(err)
	return n, err
}

// endWrite ends a write that returned err. The system tells of a reset once: a
// write that meets it leaves a read only the end of the stream, which is a clean
// goodbye elsewhere.
func (s *session) endWrite(err error) {
	if errors.Is(err, syscall.ECONNRESET) {
		s.mu.Lock()
		s.resetErr = fmt.Errorf("chatroom: write message: %w", err)
		s.mu.Unlock()
	}
	if s.writes.Add(-1) > 0 {
		return
	}
	if quiet := s.quiet.Load(); quiet != nil {
		select {
		case *quiet <- struct{}{}:
		default: // it holds a token already
		}
	}
}

// awaitReset waits for writes under way, which may have met a reset, for a
// moment: one that meets a reset does not wait, and others may for long.
func (s *session) awaitReset() {
	if s.RemoteAddr == nil || s.RemoteAddr.Network() != "tcp" {
		return // it has no resets, or tells them as often as asked
	}
	if s.writes.Load() == 0 {
		return
	}
	quiet := make(chan struct{}, 1)
	s.quiet.Store(&quiet) // before looking again, so that the last write's end is seen or signalled
	if s.writes.Load() == 0 {
		return
	}
	timer := time.NewTimer(lingerTimeout)
	defer timer.Stop()
	select {
	case <-quiet:
	case <-timer.C:
	}
}

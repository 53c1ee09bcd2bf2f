package simulation

import (
	"net"

	"example.com/chatroom/internal/transport"
)

// polled is a link like a socket. It takes bytes into a buffer, from which its
// client takes them. It says when it can be read, and can be read and written to
// without waiting.
type polled struct{ *link }

// halfPolled can end one direction as well.
type halfPolled struct{ polled }

var _ transport.Pollable = halfPolled{}

func (s halfPolled) CloseWrite() error { return s.closeWrite() }

func (s polled) Read(p []byte) (int, error) { return s.read(p) }

func (s polled) Write(p []byte) (int, error) {
	for n := 0; ; {
		m, err := s.AwaitWrite([][]byte{p[n:]})
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// AwaitRead calls try first as if there were something to read, and then whenever
// there is. If the link is spurious, it calls try whenever anything moves.
func (s polled) AwaitRead(try func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginReadLocked()
	defer func() { s.reading = false }()
	for tries := 0; ; tries++ {
		if err := s.waitErrorLocked(); err != nil {
			return err
		}
		if tries == 0 || s.readableLocked() || s.spurious && tries < maxChopped {
			s.mu.Unlock()
			done := try()
			s.mu.Lock()
			if done {
				return nil
			}
			if s.closed || s.readBy.overLocked() || s.readableLocked() { // meanwhile
				continue
			}
		}
		s.moved.Wait()
	}
}

func (s polled) TryRead(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return 0, s.opError("read", net.ErrClosed)
	case !s.readableLocked():
		return 0, transport.ErrWouldBlock
	}
	return s.readLocked(p)
}

func (s polled) TryWrite(runs [][]byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginWriteLocked()
	defer s.endWriteLocked()
	if err := s.writeErrorLocked(); err != nil {
		return 0, err
	}
	n := s.bufferLocked(runs)
	if n == 0 {
		return 0, transport.ErrWouldBlock
	}
	return n, nil
}

// AwaitWrite waits until some part of runs has been taken.
func (s polled) AwaitWrite(runs [][]byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginWriteLocked()
	defer s.endWriteLocked()
	for {
		if err := s.writeErrorLocked(); err != nil {
			return 0, err
		}
		if n := s.bufferLocked(runs); n > 0 {
			return n, nil
		}
		s.moved.Wait()
	}
}

// bufferLocked takes as much of runs as there is room for. runs must not be empty.
// s.mu must be held.
func (s polled) bufferLocked(runs [][]byte) (n int) {
	all := 0
	for _, run := range runs {
		all += len(run)
	}
	if s.void {
		// The client's end answers with a reset, now that it is closed.
		s.void, s.once = false, s.refuse
		s.starving = false
		return all
	}
	room := min(all, s.buffer-s.buffered)
	if s.cut > 0 && s.cut < room && s.chopped < maxChopped {
		room = s.cut
		s.chopped++
	}
	for _, run := range runs {
		run = run[:min(len(run), room-n)]
		s.acceptLocked(run)
		n += len(run)
	}
	s.buffered += n
	s.drainLocked()
	if n == all {
		s.starving = false
	}
	return n
}

// SetLinger with zero makes Close drop what is unsent.
func (s polled) SetLinger(sec int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lingers = sec != 0
	return nil
}

func (s polled) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

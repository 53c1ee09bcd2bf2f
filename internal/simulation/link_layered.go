package simulation

import (
	"net"
	"time"
)

const (
	// maxRecord is how many bytes of a write a layered link takes together.
	maxRecord = 16 << 10

	// replyLen and alertLen are the lengths of what a layered link writes itself.
	replyLen = 32
	alertLen = 24

	// alertTimeout is how long closing a layered link waits until its last words
	// are taken.
	alertTimeout = 5 * time.Second
)

// layered is a link on top of another connection, as TLS is. What is written goes
// out in records, and a client receives all of a record or nothing. A write that is
// cut breaks the link for good. Reading answers requests for new keys, and closing
// says goodbye. Both need the lock that writes take.
type layered struct{ *link }

// halfLayered can end one direction as well.
type halfLayered struct{ layered }

func (s halfLayered) CloseWrite() error {
	s.alert()
	return s.closeWrite()
}

// NetConn returns the connection below.
func (s layered) NetConn() net.Conn { return below{stream(s)} }

// below is the connection below a layered link.
type below struct{ stream }

// SetLinger is a socket's. There is nothing unsent.
func (s below) SetLinger(sec int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lingers = sec != 0
	return nil
}

func (s layered) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginReadLocked()
	defer func() { s.reading = false }()
	for {
		if err := s.waitErrorLocked(); err != nil {
			return 0, err
		}
		switch {
		case s.rekeys > 0:
			s.rekeys--
			s.replying = true
			s.cutReply = s.recordLocked(make([]byte, replyLen), false) != nil // the next write tells
			s.replying = false
		case s.readableLocked():
			return s.readLocked(p)
		default:
			s.moved.Wait()
		}
	}
}

func (s layered) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginWriteLocked()
	defer s.endWriteLocked()
	for {
		record := p[n:min(len(p), n+maxRecord)]
		if err := s.recordLocked(record, true); err != nil {
			return n, err
		}
		if n += len(record); n == len(p) {
			s.starving = false
			return n, nil
		}
	}
}

// recordLocked writes a record. If the client has asked for it, the record is the
// client's, else the layer's own. s.mu must be held.
func (s layered) recordLocked(record []byte, asked bool) error {
	s.lockWritesLocked()
	defer s.unlockWritesLocked()
	return s.putLocked(record, asked)
}

// lockWritesLocked waits until no write is under way, and ignores deadlines. s.mu
// must be held.
func (s layered) lockWritesLocked() {
	for s.locked {
		s.moved.Wait()
	}
	s.locked = true
}

func (s layered) unlockWritesLocked() {
	s.locked = false
	s.moved.Broadcast()
}

// putLocked does recordLocked under the write lock. s.mu must be held.
func (s layered) putLocked(record []byte, asked bool) error {
	if s.broken != nil {
		return s.broken
	}
	for rest := len(record); ; {
		if s.broken = s.writeErrorLocked(); s.broken != nil {
			return s.broken
		}
		if rest -= s.spendLocked(rest); rest == 0 {
			break
		}
		s.fillLaterLocked()
		s.moved.Wait()
	}
	if asked {
		s.acceptLocked(record)
	}
	return nil
}

// alert writes the layer's last words, at most once, and for alertTimeout at most.
func (s layered) alert() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lockWritesLocked()
	defer s.unlockWritesLocked()
	if s.told || s.closed {
		return
	}
	s.told = true
	s.writeBy.setLocked(&s.moved, time.Now().Add(alertTimeout))
	_ = s.putLocked(make([]byte, alertLen), false) // the connection ends anyway
}

// Close says goodbye and closes the connection below. For that it waits for what a
// read writes. It does not wait for another call's write, unless the link is
// stubborn.
func (s layered) Close() error {
	s.mu.Lock()
	s.beginCloseLocked()
	cuts := s.writing && !s.stubborn
	s.mu.Unlock()
	if !cuts {
		s.alert()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

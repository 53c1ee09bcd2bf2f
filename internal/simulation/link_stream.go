package simulation

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// stream is a link that can do what a net.Conn can do. It has no buffer: what is
// written counts as taken.
type stream struct{ *link }

// halfStream can end one direction as well.
type halfStream struct{ stream }

var _ net.Conn = halfStream{}

func (s halfStream) CloseWrite() error { return s.closeWrite() }

func (s stream) Read(p []byte) (int, error) { return s.read(p) }

func (s stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginWriteLocked()
	defer s.endWriteLocked()
	for n := 0; ; {
		if err := s.writeErrorLocked(); err != nil {
			return n, err
		}
		taken := s.spendLocked(len(p) - n)
		s.acceptLocked(p[n : n+taken])
		n += taken
		if n == len(p) {
			s.starving = false
			return n, nil
		}
		s.fillLaterLocked()
		s.moved.Wait()
	}
}

func (s stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

// read waits until there is something to read.
func (l *link) read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beginReadLocked()
	defer func() { l.reading = false }()
	for {
		if err := l.waitErrorLocked(); err != nil {
			return 0, err
		}
		if l.readableLocked() {
			return l.readLocked(p)
		}
		l.moved.Wait()
	}
}

// beginReadLocked begins a read that may wait. l.mu must be held.
func (l *link) beginReadLocked() {
	if l.reading {
		l.misuseLocked("two reads at the same time")
	}
	l.reading, l.readSince = true, time.Now()
}

// waitErrorLocked returns why a read must not wait, or nil. l.mu must be held.
func (l *link) waitErrorLocked() error {
	switch {
	case l.closed:
		return l.opError("read", net.ErrClosed)
	case l.readBy.overLocked():
		return l.opError("read", os.ErrDeadlineExceeded)
	}
	return nil
}

// readableLocked reports whether readLocked has something to return. l.mu must be
// held.
func (l *link) readableLocked() bool { return len(l.in) > 0 || l.gone != nil || l.fin }

// readLocked reads what there is. l.mu must be held.
func (l *link) readLocked(p []byte) (int, error) {
	switch {
	case len(l.in) > 0:
		if l.chop > 0 && l.chopped < maxChopped {
			p = p[:min(len(p), l.chop)]
			l.chopped++
		}
		n := copy(p, l.in)
		l.in = l.in[n:]
		return n, nil
	case l.once == syscall.ECONNRESET:
		l.once = nil
		return 0, l.opError("read", syscall.ECONNRESET)
	case l.gone != nil:
		return 0, l.opError("read", l.gone)
	}
	return 0, io.EOF
}

// beginWriteLocked begins a write. The model measures how long it makes no
// progress. l.mu must be held.
func (l *link) beginWriteLocked() {
	switch {
	case l.writing:
		l.misuseLocked("two writes at the same time")
	case l.halfClosed:
		l.misuseLocked("a write after CloseWrite")
	}
	if !l.starving {
		l.hungry, l.starving, l.written = time.Now(), true, l.taken
	}
	l.writing = true
}

func (l *link) endWriteLocked() { l.writing = false }

// writeErrorLocked returns why nothing can be written, or nil. l.mu must be held.
func (l *link) writeErrorLocked() error {
	switch err := l.once; {
	case l.closed:
		return l.opError("write", net.ErrClosed)
	case err != nil:
		l.once = nil
		return l.opError("write", err)
	case l.void:
		return nil
	case l.refuse != nil:
		return l.opError("write", l.refuse)
	case l.writeBy.overLocked():
		return l.opError("write", os.ErrDeadlineExceeded)
	}
	return nil
}

// acceptLocked notes that p is taken. l.mu must be held.
func (l *link) acceptLocked(p []byte) {
	if len(p) == 0 {
		return
	}
	l.out = append(l.out, p...)
	l.taken += int64(len(p))
	l.hungry = time.Now()
}

// closeWrite ends what the client reads. The client does nothing with the news.
func (l *link) closeWrite() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.opError("close", net.ErrClosed)
	}
	l.halfClosed = true
	return nil
}

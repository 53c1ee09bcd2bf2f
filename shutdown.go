package chatroom

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Shutdown ends the server gracefully: it stops accepting and reading, writes
// out what the members are owed, closes their connections, and returns when the
// last leave hook has. Connections that are no members yet are closed at once.
// When ctx ends first, it closes the rest like [Server.Close] and returns
// ctx.Err().
//
// A member that takes what it is owed slowly keeps it for as long as it takes
// anything within each write timeout: give it a ctx that ends.
//
// It may be called more than once, also at the same time. It waits for hooks that
// are running, so a hook that is to end the server gracefully calls it on a
// goroutine of its own.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginEnd()
	select {
	case <-s.ended: // also if ctx has ended, too
		return nil
	default:
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		s.abortAll()
		return ctx.Err()
	}
}

// Close ends the server at once: it closes all listeners and connections,
// whatever the members are owed, and returns. Leave hooks are still told, each
// on its member's goroutine; [Server.Shutdown], also after Close, waits for
// them. It may be called more than once, also by a hook, and always returns nil.
func (s *Server) Close() error {
	listeners := s.beginEnd()
	s.abortAll()
	for _, c := range listeners {
		_ = c.close() // Serve tells why it ended
	}
	return nil
}

// abortAll ends all connections, and all publishing.
func (s *Server) abortAll() {
	s.room.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.sessions {
		sess.abort(ErrServerClosed)
	}
}

// beginEnd stops accepting, joining, reading and broadcasting, and drops the
// connections that are no members. It returns the listeners that are not closed.
func (s *Server) beginEnd() (listeners []*onceCloser) {
	s.mu.Lock()
	begins := !s.closing
	if begins {
		s.closing = true
		close(s.ending)
		s.room.end() // first, so that nothing is published once sealed
	}
	listeners = slices.Collect(maps.Keys(s.listeners))
	var members []*session
	for sess := range s.sessions {
		if sess.isStranger() {
			sess.abort(ErrServerClosed)
		} else {
			members = append(members, sess)
		}
	}
	s.mu.Unlock()
	if begins {
		go s.end(listeners)
	}
	for _, sess := range members {
		sess.conn.StopReading()
	}
	return listeners
}

// end closes the listeners and sees to it that what follows the server's end
// follows. It runs on a goroutine of its own until nothing is left of the server.
func (s *Server) end(listeners []*onceCloser) {
	var closing sync.WaitGroup
	for _, c := range listeners {
		closing.Go(func() { _ = c.close() }) // which may wait
	}
	s.reading.Wait()
	close(s.sealed)
	s.running.Wait()
	s.room.sweeper.Wait() // it has nothing left to do
	closing.Wait()
	close(s.ended)
}

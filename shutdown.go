package chatroom

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// Shutdown ends the server gracefully. It stops accepting and reading, writes out what
// the members are owed, closes their connections, and returns when the last leave hook
// has. Connections that are no members yet are closed immediately. When ctx ends
// first, it closes the rest like [Server.Close] and returns ctx.Err().
//
// What members had sent by then, an [Order] has delivered before it is written out: end
// the order after the server.
//
// A member that takes what it is owed slowly can keep Shutdown for as long as it takes
// anything within each write timeout. Give Shutdown a ctx that ends.
//
// It may be called more than once, and is safe for concurrent use. It waits for hooks
// that are running, so a hook calls it on a goroutine of its own.
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

// Close ends the server immediately. It closes all listeners and connections, whatever
// the members are owed, and returns. Leave hooks still run, each on its member's
// goroutine; [Server.Shutdown], also after Close, waits for them. Close may be called
// more than once, also by a hook, and always returns nil.
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
	s.endLeaveCtx()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		r.endTo(roomClosed)
	}
	for sess := range s.sessions {
		sess.abort(ErrServerClosed)
	}
}

// beginEnd stops accepting, joining, reading and broadcasting, and closes the
// connections that are no members yet. It returns the listeners that may still be
// open.
func (s *Server) beginEnd() (listeners []*onceCloser) {
	s.mu.Lock()
	begins := !s.closing
	if begins {
		s.closing = true
		close(s.ending)
		s.endHookCtx()
		for _, r := range s.rooms {
			r.endTo(roomEnding) // before sealed is closed
		}
		if s.emptyTimer != nil {
			s.emptyTimer.Stop()
		}
	}
	listeners = slices.Collect(maps.Keys(s.listeners))
	var members []*session
	for sess := range s.sessions {
		if sess.isNew() {
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

// end closes the listeners and waits until nothing is left of the server. It runs on a
// goroutine of its own.
func (s *Server) end(listeners []*onceCloser) {
	var closing sync.WaitGroup
	for _, c := range listeners {
		closing.Go(func() { _ = c.close() }) // each may wait
	}
	s.reading.Wait()
	if s.cfg.order != nil {
		s.submitting.Wait()
		if err := s.cfg.order.Settle(s.leaveCtx); err != nil {
			s.log(slog.LevelWarn, "not settled", slog.Any("error", err))
		}
	}
	s.endRooms(roomSealed)
	close(s.sealed)
	s.running.Wait()
	s.sweepers.Wait() // they have nothing left to do
	closing.Wait()
	s.endRooms(roomClosed) // so that no timer keeps them
	close(s.ended)
}

func (s *Server) endRooms(to roomState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		r.endTo(to)
	}
}

package chatroom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"time"
)

// ErrHookFailed is the reason why a member left, or was not let in, if a hook or the
// name rule panicked or ended its goroutine.
var ErrHookFailed = errors.New("chatroom: hook failed")

// ErrDrop is what a [WithOnMessage] hook returns to drop a message, of which nobody is
// told.
var ErrDrop = errors.New("chatroom: message dropped")

// A Join is a connection that asks to be let in, for [WithAdmit] hooks to decide on. The
// hook owns it until it returns.
type Join struct {
	Name   string   // as it was sent; the hook may change it
	Room   string   // the room to join, "" unless Conn has asked for another (see Server.ServeConn); the hook may change it
	Value  any      // what [Member.Value] will be; nil unless a hook sets it
	Conn   net.Conn // as it was accepted. A hook must not read from it, and may write frames before it refuses
	Server *Server  // that is asked
}

// runAdmitHooks asks the admit hooks in turn. Their context ends at the deadline, if
// that is not zero.
func (s *session) runAdmitHooks(join *Join, deadline time.Time) error {
	if len(s.srv.cfg.admit) == 0 {
		return nil
	}
	ctx := s.hookContext()
	defer s.endHooks()
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
		s.conn.SetWriteDeadline(deadline) // a hook may write, and the peer may not read
		defer s.conn.SetWriteDeadline(time.Time{})
	}
	for _, hook := range s.srv.cfg.admit {
		var refusal error
		if err := s.runHook("admit hook", func() { refusal = hook(ctx, join) }); err != nil {
			return err
		}
		if refusal != nil {
			s.byHook = true
			return refusal
		}
	}
	return nil
}

func (s *session) runJoinHooks() error {
	if len(s.srv.cfg.onJoin) == 0 {
		return nil
	}
	ctx := s.hookContext()
	defer s.endHooks() // an idle member needs none
	for _, hook := range s.srv.cfg.onJoin {
		if err := s.runHook("join hook", func() { hook(ctx, s.Member) }); err != nil {
			return err
		}
	}
	return nil
}

// runMessageHooks asks the message hooks in turn what becomes of a message.
func (s *session) runMessageHooks(msg *Message) error {
	ctx := s.hookContext()
	for _, hook := range s.srv.cfg.onMessage {
		var verdict error
		if err := s.runHook("message hook", func() { verdict = hook(ctx, s.Member, msg) }); err != nil {
			return err
		}
		if verdict != nil {
			return verdict
		}
	}
	return nil
}

// runLeaveHooks runs all leave hooks in order, whatever becomes of one.
func (s *session) runLeaveHooks(reason error) {
	ctx := s.withValues(s.srv.leaveCtx)
	for _, hook := range slices.Backward(s.srv.cfg.onLeave) {
		// What is deferred runs also when a hook ends the goroutine, the last first.
		defer func() { _ = s.runHook("leave hook", func() { hook(ctx, s.Member, reason) }) }()
	}
}

// hookContext returns the context of this session's hooks. It ends when this end
// disconnects the member, or when the server's end begins.
func (s *session) hookContext() context.Context {
	if s.hookCtx != nil {
		return s.hookCtx
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hookCtx, s.endHookCtx = context.WithCancel(s.withValues(s.srv.hookCtx))
	if s.state >= sessionKicked {
		s.endHookCtx()
	}
	return s.hookCtx
}

// endHooks ends the context of hooks that have run.
func (s *session) endHooks() {
	if s.hookCtx == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endHookCtx()
	s.hookCtx, s.endHookCtx = nil, nil
}

// withValues returns ctx with the values of ServeConn's context.
func (s *session) withValues(ctx context.Context) context.Context {
	if s.values == nil {
		return ctx
	}
	return valuesContext{ctx, s.values}
}

// A valuesContext is a context with the values of another one as well.
type valuesContext struct {
	context.Context
	values context.Context
}

func (c valuesContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil { // first, since package context asks for values of its own
		return v
	}
	return c.values.Value(key)
}

// runHook calls a function of the program's. A panic is logged and returned as an
// error.
func (s *session) runHook(what string, hook func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %s panicked: %v", ErrHookFailed, what, v)
			s.srv.log(slog.LevelError, "hook panicked", append(s.attrs(),
				slog.String("hook", what), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))...)
		}
	}()
	hook()
	return nil
}

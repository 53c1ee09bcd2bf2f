package chatroom

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
)

// ErrHookFailed is the reason why a member left, or was not let in, if a hook or the
// name rule panicked or ended its goroutine.
var ErrHookFailed = errors.New("chatroom: hook failed")

func (s *session) runJoinHooks() error {
	for _, hook := range s.srv.cfg.onJoin {
		if err := s.runHook("join hook", func() { hook(s.Member) }); err != nil {
			return err
		}
	}
	return nil
}

// runLeaveHooks runs all leave hooks in order, whatever becomes of one.
func (s *session) runLeaveHooks(reason error) {
	for _, hook := range slices.Backward(s.srv.cfg.onLeave) {
		// What is deferred runs also when a hook ends the goroutine, the last first.
		defer func() { _ = s.runHook("leave hook", func() { hook(s.Member, reason) }) }()
	}
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

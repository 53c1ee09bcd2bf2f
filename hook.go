package chatroom

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrHookFailed is the reason why a member left, or was not let in, for whom a hook
// or the name rule panicked or ended its goroutine.
var ErrHookFailed = errors.New("chatroom: hook failed")

// tellJoin runs the join hooks.
func (s *session) tellJoin() error {
	for _, hook := range s.srv.cfg.onJoin {
		if err := s.runHook("join hook", func() { hook(s.Member) }); err != nil {
			return err
		}
	}
	return nil
}

// tellLeave runs the leave hooks. The stack of a panic is logged; the member is
// gone already.
func (s *session) tellLeave(reason error) {
	hooks := s.srv.cfg.onLeave
	var tellRest func()
	tellRest = func() {
		if len(hooks) == 0 {
			return
		}
		hook := hooks[0]
		hooks = hooks[1:]
		defer tellRest() // also when the hook ends the goroutine
		_ = s.runHook("leave hook", func() { hook(s.Member, reason) })
	}
	tellRest()
}

// runHook calls a function of the program's on the session's goroutine. A panic
// is logged and returned as an error.
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

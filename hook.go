package chatroom

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"runtime/debug"
)

// errHookFailed is the reason why a member left whose hook panicked or ended the
// goroutine.
var errHookFailed = errors.New("chatroom: hook failed")

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
//
//go:noinline
func (s *session) runHook(what string, hook func()) (err error) {
	s.srv.enterHook()
	defer s.srv.leaveHook()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %s panicked: %v", errHookFailed, what, v)
			s.srv.log(slog.LevelError, "hook panicked", append(s.attrs(),
				slog.String("hook", what), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))...)
		}
	}()
	hook()
	return nil
}

// runHookName is how runHook appears in a stack.
var runHookName = runtime.FuncForPC(reflect.ValueOf((*session).runHook).Pointer()).Name()

// calledFromHook reports whether its caller was called by a hook, on the hook's
// own goroutine.
func calledFromHook() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(2, pcs)
	}
	for frames := runtime.CallersFrames(pcs[:n]); ; {
		frame, more := frames.Next()
		if frame.Function == runHookName {
			return true
		}
		if !more {
			return false
		}
	}
}

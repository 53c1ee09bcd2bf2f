package chatroomtest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// A serverLog is a [slog.Handler] that keeps what a server warns of, which tells
// a failure more than its connections do.
type serverLog struct {
	notify func() // called after each record; may be nil

	mu      sync.Mutex
	refused map[string]error // why, by the remote address
	panics  []string         // of hooks, with their stacks
}

func newServerLog(notify func()) *serverLog {
	return &serverLog{notify: notify, refused: make(map[string]error)}
}

// Enabled reports whether level is a warning's at least.
func (l *serverLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle keeps r, if it is of the kinds that are kept.
func (l *serverLog) Handle(_ context.Context, r slog.Record) error {
	attrs := make(map[string]any)
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Any()
		return true
	})
	l.mu.Lock()
	switch r.Message {
	case "refused":
		remote, _ := attrs["remote"].(net.Addr)
		reason, _ := attrs["reason"].(error)
		if remote != nil && reason != nil {
			l.refused[remote.String()] = reason
		}
	case "hook panicked":
		l.panics = append(l.panics, fmt.Sprintf("%v of %q panicked: %v\n%v", attrs["hook"], attrs["name"], attrs["panic"], attrs["stack"]))
	}
	l.mu.Unlock()
	if l.notify != nil {
		l.notify()
	}
	return nil
}

// WithAttrs returns l: a server's logger has no attributes of its own.
func (l *serverLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup returns l.
func (l *serverLog) WithGroup(string) slog.Handler { return l }

// whyRefused returns why the connection from addr was refused, or nil if that is
// not known.
func (l *serverLog) whyRefused(addr net.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused[addr.String()]
}

// hookPanics returns the panics of hooks so far.
func (l *serverLog) hookPanics() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.panics
}

package main

import (
	"io"
	"log/slog"
)

// newLogger returns a logger that writes a line per record to w. Text that came
// from a client is quoted, and its control characters escaped, where it has any.
func newLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level:       level,
		ReplaceAttr: tidy,
	}))
}

// tidy writes the time of a record to the second, for those who read along and
// know their time zone, and leaves out the reason of who left without one.
func tidy(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case a.Key == slog.TimeKey:
		return slog.String(a.Key, a.Value.Time().Format("2006-01-02T15:04:05"))
	case a.Key == "reason" && a.Value.Any() == nil:
		return slog.Attr{}
	}
	return a
}

package main

import (
	"bytes"
	"io"
	"log/slog"
	"time"
)

// newLogger returns a logger that writes a line per record to w. Text from a
// client is quoted if it has control characters, which are escaped.
func newLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level:       level,
		ReplaceAttr: tidy,
	}))
}

// tidy writes times to the second, for people who read along and know their
// time zone. It leaves out the reason of a member that left without one.
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

// A logOutput passes lines on to a writer that may be stuck, such as a pipe
// that nobody reads. It is never stuck itself: a server waits for its log, so a
// log that blocks would keep the room from ending. Up to maxPending bytes of
// lines wait. Lines for which there is no room are dropped, and so are lines
// that the writer fails to take. As soon as the writer takes anything again, a
// line says how many were dropped.
type logOutput struct {
	// Fixed after construction.
	lines *output
	done  chan struct{} // closed by writeAll

	// Owned by writeAll.
	lost int  // how many lines were lost and not reported yet
	cut  bool // the last write ended within a line
}

// startLog returns a logOutput for w. Its goroutine ends after end has been
// called, unless w blocks it.
func startLog(w io.Writer) *logOutput {
	l := &logOutput{lines: newOutput(w, maxPending), done: make(chan struct{})}
	go l.writeAll()
	return l
}

// Write adds a line. It never blocks, and never fails, because a log has nobody
// to tell.
func (l *logOutput) Write(line []byte) (int, error) {
	l.lines.offer(line)
	return len(line), nil
}

// end waits until all lines have been written, but for endTimeout at most.
// Lines added later are ignored.
func (l *logOutput) end() {
	l.lines.close("")
	select {
	case <-l.done:
	case <-time.After(endTimeout):
	}
}

// writeAll writes the lines that are added, until end has been called and every
// line has been tried.
func (l *logOutput) writeAll() {
	defer close(l.done)
	var batch []byte
	for {
		var dropped int
		batch, dropped = l.lines.take(batch)
		if len(batch) == 0 {
			return
		}
		l.reportLost() // in the place of the lost lines
		l.lost += l.write(batch)
		l.lost += dropped
		l.reportLost()
	}
}

// reportLost writes a line that says how many lines are missing before it, if
// any are.
func (l *logOutput) reportLost() {
	if l.lost == 0 {
		return
	}
	var report bytes.Buffer
	if l.cut {
		report.WriteByte('\n')
	}
	newLogger(&report, slog.LevelWarn).Warn("log lines lost", "lines", l.lost)
	if l.write(report.Bytes()) == 0 {
		l.lost = 0
	}
}

// write writes lines and returns how many it could not write whole.
func (l *logOutput) write(lines []byte) (lost int) {
	n, err := l.lines.w.Write(lines)
	if n > 0 {
		l.cut = lines[n-1] != '\n'
	}
	if err == nil {
		return 0
	}
	return bytes.Count(lines[n:], []byte("\n"))
}

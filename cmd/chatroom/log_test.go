package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestLogOutputIsStuck fills a log whose writer takes nothing, which keeps
// nobody, and has it take things again.
func TestLogOutputIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		log := startLog(w)
		line := func(i int) string { return fmt.Sprintf("%0*d\n", 1<<10-1, i) }
		const fit, lost = maxPending / (1 << 10), 7
		var want strings.Builder
		for i := range 2 + fit + lost {
			if i == 1 {
				synctest.Wait()
				assert.Equal(t, line(0), w.String(), "a line waits for nothing")
				w.stick()
			}
			_, _ = log.Write([]byte(line(i)))
			if i == 1 {
				synctest.Wait() // its write is stuck
			}
			if i < 2+fit {
				want.WriteString(line(i))
			}
		}
		began := time.Now()
		log.end()
		assert.Equal(t, endTimeout, time.Since(began))

		w.free()
		synctest.Wait()
		report, ok := strings.CutPrefix(w.String(), want.String())
		assert.True(t, ok, "what found room is written, in order")
		assert.Regexp(t, `^time=\S+ level=WARN msg="log lines lost" lines=7\n$`, report)
	})
}

func TestLogOutputEndsWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		log := startLog(w)
		for i := range 1000 {
			fmt.Fprintln(log, i)
		}
		began := time.Now()
		log.end()
		assert.Zero(t, time.Since(began))
		assert.Equal(t, numbers(1000), w.String())
	})
}

// A sometimesFull takes so many bytes of each write before it fails, and all of
// those after the last.
type sometimesFull struct {
	takes []int
	text  strings.Builder
}

func (w *sometimesFull) Write(p []byte) (int, error) {
	if len(w.takes) == 0 {
		return w.text.Write(p)
	}
	n := w.takes[0]
	w.takes = w.takes[1:]
	w.text.Write(p[:n])
	return n, errors.New("disk full")
}

// TestLogOutputFails writes "one", "two" and "three", each in a write of its own,
// to a disk that is full at times.
func TestLogOutputFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes []int
		want  string
	}{
		{"never", nil, "one\ntwo\nthree\n"},
		{"one", []int{0}, "LOST 1\ntwo\nthree\n"},
		{"one and its report", []int{0, 0}, "LOST 1\ntwo\nthree\n"},
		{"one and two", []int{0, 0, 0, 0}, "LOST 2\nthree\n"},
		{"within a line", []int{2}, "on\nLOST 1\ntwo\nthree\n"},
		{"within a line, and for longer", []int{2, 0}, "on\nLOST 1\ntwo\nthree\n"},
		{"within the report", []int{0, 5}, "time=\nLOST 1\ntwo\nthree\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &sometimesFull{takes: tt.takes}
				log := startLog(w)
				for _, line := range []string{"one\n", "two\n", "three\n"} {
					_, _ = log.Write([]byte(line))
					synctest.Wait()
				}
				log.end()
				report := regexp.MustCompile(`time=\S+ level=WARN msg="log lines lost" lines=`)
				assert.Equal(t, tt.want, report.ReplaceAllString(w.text.String(), "LOST "))
			})
		})
	}
}

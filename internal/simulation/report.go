package simulation

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	// reduceRuns and reduceTime bound the search for a shorter history.
	reduceRuns = 2000
	reduceTime = 20 * time.Second

	// reduceTries is how often a history is run again to see it fail once more.
	reduceTries = 100
)

// A kind is one of the kinds of histories.
type kind struct {
	name     string // of the function that runs a history given in bytes
	run      runner
	describe func(h history) fmt.Stringer // what its head says
}

// report runs h, and fails tb if that fails.
func (k kind) report(tb testing.TB, h history, what string) {
	tb.Helper()
	run := k.run
	err := run(h, nil)
	if err == nil {
		return
	}
	short, failed := reduce(h, run)
	if failed == nil {
		err = fmt.Errorf("%w (it did not fail again: how goroutines take turns matters to it)", err)
	} else {
		err = failed
	}
	var trace strings.Builder
	if again := run(short, &trace); again != nil {
		err = again
	}
	tb.Fatalf("simulation of %s: %v\n\n%v\n%s\nThese are %d of %d steps, as bytes:\n\n\tsimulation.%s(t, []byte(%q))\n\nRun it again:\n\n\t%s",
		what, err, k.describe(short), trace.String(), short.count(), h.count(), k.name, short, rerun(tb.Name()))
}

// reduce removes steps from h as long as h fails without them. It returns what is
// left and how that fails, or nil if h does not fail again.
func reduce(h history, run runner) (history, error) {
	runs, until := 0, time.Now().Add(reduceTime)
	var failed error
	fails := func(h history) bool {
		if runs++; runs > reduceRuns || time.Now().After(until) {
			return false
		}
		err := run(h, nil)
		if err != nil {
			failed = err
		}
		return err != nil
	}
	for range reduceTries {
		if failed != nil {
			break
		}
		fails(h)
	}
	if failed == nil {
		return h, nil
	}
	for size := max(h.count()/2, 1); ; size /= 2 {
		size = max(size, 1)
		shorter := false
		for i := h.count() - size; i > -size; i -= size {
			if less := h.without(max(i, 0), size+min(i, 0)); len(less) < len(h) && fails(less) {
				h, shorter = less, true
			}
		}
		if size == 1 && !shorter {
			return h, failed
		}
	}
}

// rerun returns the command that runs a test again. It includes the flags that this
// package's tests have added.
func rerun(name string) string {
	var pattern []string
	for _, part := range strings.Split(name, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	command := "go test -run '" + strings.Join(pattern, "/") + "' ./internal/simulation"
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			command += fmt.Sprintf(" -%s=%v", f.Name, f.Value)
		}
	})
	return command
}

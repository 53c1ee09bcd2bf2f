package chatroomtest

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

const (
	// reduceRuns and reduceTime bound the search for a shorter history.
	reduceRuns = 2000
	reduceTime = 20 * time.Second

	// reduceTries is how often a history is run to fail once more.
	reduceTries = 100
)

// Simulate runs a server of the package's through a made-up life on the fake
// clock, and fails the test unless it keeps every promise that package chatroom
// makes: one order, exclusion, membership, isolation, bounded memory, clean-up
// told once with the right reason, no silent loss, and figures that add up.
//
// The seed decides what happens: who joins and sends how much, who stops reading,
// goes, is cut off at which byte or sends garbage, how much time passes, how the
// server ends, and its limits and timeouts. The same seed is the same history; how
// the goroutines of one step take turns is up to the scheduler.
//
// The options are for the server, to see that a program's own hooks and logger do
// no harm. Limits, timeouts and the name rule are the history's. Hooks must return
// without waiting for time to pass, and must not publish, panic or end the server.
//
// The test fails with the seed, the shortest history found that fails as well,
// what was wanted, what came, and how to run just that test again. Give each seed a
// subtest of its own, so that it can be named. Should a goroutine of the server
// panic, the test binary ends; run with -v to see which subtest it was.
//
// tb must be a [*testing.T] outside of any bubble, and Simulate be called on its
// goroutine; it makes a [testing/synctest] bubble for itself. It blocks until the
// history is over, mostly a few milliseconds, and leaves nothing running.
func Simulate(tb testing.TB, seed uint64, opts ...chatroom.ServerOption) {
	tb.Helper()
	simulate(tb, bubbleMaker(tb), newHistory(seed), fmt.Sprintf("seed %d", seed), opts)
}

// SimulateHistory is [Simulate] of a history given in bytes, for fuzz tests and
// for histories that have once failed. Any bytes are a history: six of options,
// and three for each step, of which 200 count. What they mean may
// change with this package. It keeps no part of the slice.
func SimulateHistory(tb testing.TB, history []byte, opts ...chatroom.ServerOption) {
	tb.Helper()
	simulate(tb, bubbleMaker(tb), history, "a history", opts)
}

// bubbleMaker returns tb as what synctest.Test needs.
func bubbleMaker(tb testing.TB) *testing.T {
	tb.Helper()
	t, ok := tb.(*testing.T)
	if !ok {
		tb.Fatalf("chatroomtest: simulate: want a *testing.T, got %T", tb)
	}
	return t
}

// simulate runs h in bubbles of t's, and fails tb.
func simulate(tb testing.TB, t *testing.T, h history, what string, opts []chatroom.ServerOption) {
	tb.Helper()
	var trace strings.Builder
	err := runHistory(t, h, opts, nil)
	if err == nil {
		return
	}
	short, failed := reduce(t, h, opts)
	if failed == nil {
		err = fmt.Errorf("%w (it did not fail again: how goroutines take turns matters to it)", err)
	} else {
		err = failed
	}
	if again := runHistory(t, short, opts, &trace); again != nil {
		err = again
	}
	tb.Fatalf("chatroomtest: simulation of %s: %v\n\n%v\n%s\nThese are %d of %d steps, as bytes:\n\n\tchatroomtest.SimulateHistory(t, []byte(%q))\n\nRun it again:\n\n\t%s",
		what, err, short.config(), trace.String(), len(short.steps()), len(h.steps()), short, rerun(tb.Name()))
}

// runHistory runs h in a bubble of its own, and returns what was wrong.
func runHistory(t *testing.T, h history, opts []chatroom.ServerOption, trace *strings.Builder) (err error) {
	var s *simulation
	defer func() {
		// Of a bubble whose goroutines wait for each other.
		v := recover()
		if v == nil {
			return
		}
		err = fmt.Errorf("want the history to come to an end, got %v\n%s", v, simStacks())
		if s != nil && s.failed != nil {
			err = fmt.Errorf("%w; then %w", s.failed, err)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		s = newSimulation(h, opts, trace)
		err = s.run()
	})
	return err
}

// simStacks returns the stacks of goroutines in bubbles.
func simStacks() string {
	var some []string
	for _, g := range strings.Split(stacks(), "\n\n") {
		if head, _, _ := strings.Cut(g, "\n"); strings.Contains(head, "synctest") {
			some = append(some, g)
		}
	}
	return strings.Join(some, "\n\n")
}

// reduce takes steps out of h as long as it fails without them, and returns what
// is left and how that fails, nil if h does not fail again.
func reduce(t *testing.T, h history, opts []chatroom.ServerOption) (history, error) {
	runs, until := 0, time.Now().Add(reduceTime)
	var failed error
	fails := func(h history) bool {
		if runs++; runs > reduceRuns || time.Now().After(until) {
			return false
		}
		err := runHistory(t, h, opts, nil)
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
	for size := max(len(h.steps())/2, 1); ; size /= 2 {
		size = max(size, 1)
		shorter := false
		for i := len(h.steps()) - size; i > -size; i -= size {
			if less := h.without(max(i, 0), size+min(i, 0)); len(less) < len(h) && fails(less) {
				h, shorter = less, true
			}
		}
		if size == 1 && !shorter {
			return h, failed
		}
	}
}

// rerun returns the command that runs a test again, with the flags that the
// program has added.
func rerun(name string) string {
	var pattern []string
	for _, part := range strings.Split(name, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	command := "go test -run '" + strings.Join(pattern, "/") + "' ."
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			command += fmt.Sprintf(" -%s=%v", f.Name, f.Value)
		}
	})
	return command
}

// Package simulation makes up lives of a chat server, runs them on a fake clock,
// and holds each against a model of what package chatroom promises: one order,
// exclusion, membership, isolation, bounded memory, clean-up told once with the
// right reason, no silent loss, and figures that add up.
//
// A history decides what happens: who joins and sends how much, who stops reading,
// goes, is cut off at which byte or sends garbage, how much time passes, how the
// server ends, and its limits and timeouts. The same history always does the same;
// how the goroutines of one step take turns is up to the scheduler.
package simulation

import (
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// Run runs the history that seed stands for, and fails t unless the server keeps
// every promise. The test fails with the seed, the shortest history found that
// fails as well, what was wanted, what came, and how to run just that test again.
// Give each seed a subtest of its own, so that it can be named. Should a goroutine
// of the server panic, the test binary ends; run with -v to see which subtest it
// was.
//
// t must be outside of any bubble; Run makes [testing/synctest] bubbles. It blocks
// until the history is over, mostly a few milliseconds, and leaves nothing running.
func Run(t *testing.T, seed uint64) {
	t.Helper()
	report(t, newHistory(seed), fmt.Sprintf("seed %d", seed), inBubble(t))
}

// RunHistory is [Run] of a history given in bytes, for fuzz tests and for histories
// that have once failed. Any bytes are a history: a head that says how the server
// and its connections are, and three bytes for each step, of which 200 count. What
// they mean may change with this package. It keeps no part of the slice.
func RunHistory(t *testing.T, h []byte) {
	t.Helper()
	report(t, h, "a history", inBubble(t))
}

// A runner runs a history and returns what was wrong. It writes what happens to
// trace, unless that is nil.
type runner func(h history, trace *strings.Builder) error

// inBubble returns what runs a history in a bubble of its own.
func inBubble(t *testing.T) runner {
	return func(h history, trace *strings.Builder) (err error) {
		var s *simulation
		defer func() {
			// Of a bubble whose goroutines wait for each other.
			v := recover()
			if v == nil {
				return
			}
			err = fmt.Errorf("want the history to come to an end, got %v\n%s", v, bubbleStacks())
			if s != nil && s.failed != nil {
				err = fmt.Errorf("%w; then %w", s.failed, err)
			}
		}()
		synctest.Test(t, func(*testing.T) {
			s = newSimulation(h, trace)
			err = s.run()
		})
		return err
	}
}

// bubbleStacks returns the stacks of goroutines in the latest bubble. Those of
// bubbles that came to no end stay.
func bubbleStacks() string {
	buf := make([]byte, 1<<20)
	all := string(buf[:runtime.Stack(buf, true)])
	latest := 0
	var some []string
	for _, g := range strings.Split(all, "\n\n") {
		m := bubbleOf.FindStringSubmatch(g)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1]) // it is a number
		if n > latest {
			latest, some = n, nil
		}
		if n == latest {
			some = append(some, g)
		}
	}
	return strings.Join(some, "\n\n")
}

// bubbleOf finds the bubble of a goroutine in the first line of its stack.
var bubbleOf = regexp.MustCompile(`^goroutine .* synctest bubble (\d+)`)

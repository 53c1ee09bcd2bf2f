// Package simulation makes up lives of a chat server, runs them on a fake clock,
// and compares each with a model of what package chatroom promises: one order in each
// room, exclusion, membership with its history, isolation, bounded memory, clean-up
// told once with the right reason, no silent loss, what the host's calls and hooks are
// promised, and figures that add up.
//
// A history decides what happens. It says who joins which room and sends how much; who
// stops reading, leaves, is kicked, is cut off at which byte or sends garbage; what the
// program says to all, to a room and to one; when all leave a room; how much time
// passes; how the server ends; and its limits and timeouts. What the program's hooks do
// for somebody depends on the name: see [character]. The same history always does the
// same things, but the scheduler decides how the goroutines of one step take turns.
//
// The model knows the order in a room from a client that reads everything, and so
// watches the room. It is the first who joins and leaves last, so a room without it is
// empty. Where a history lets it leave together with others, nobody knows what is
// published last there, and the model takes what the next one receives for the truth.
//
// Histories of a cluster are lives of a few servers that share an order: see [RunCluster].
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

// Run runs the history of seed, and fails t unless the server keeps every promise.
// A failure reports the seed, the shortest history found that fails as well, what
// was wanted, what came, and how to run just that test again. Give each seed a
// subtest of its own, so that it can be named. If a goroutine of the server panics,
// the test binary ends; run with -v to see which subtest it was.
//
// t must be outside any bubble, because Run makes [testing/synctest] bubbles. Run
// blocks until the history is over, mostly a few milliseconds, and leaves nothing
// running.
func Run(t *testing.T, seed uint64) {
	t.Helper()
	single(t).report(t, newHistory(seed), fmt.Sprintf("seed %d", seed))
}

// RunHistory does what [Run] does for a history given in bytes. It is for fuzz
// tests, and for histories that have failed once. Any bytes are a history: a head
// that describes the server and its connections, and three bytes for each step.
// Only the first 200 steps count. What the bytes mean may change with this package.
// RunHistory keeps no part of the slice.
func RunHistory(t *testing.T, h []byte) {
	t.Helper()
	single(t).report(t, h, "a history")
}

// A runner runs a history and returns what was wrong. It writes what happens to
// trace, unless that is nil.
type runner func(h history, trace *strings.Builder) error

// single is the kind of history that is the life of one server.
func single(t *testing.T) kind {
	return kind{"RunHistory", inBubble(t, newSimulation), func(h history) fmt.Stringer { return h.config() }}
}

// A life is one run of a history.
type life interface {
	run() error     // does the steps, and returns what was wrong
	failure() error // what was wrong so far
}

// inBubble returns what runs a history in a bubble of its own.
func inBubble[L life](t *testing.T, begin func(tb testing.TB, h history, trace *strings.Builder) L) runner {
	return func(h history, trace *strings.Builder) (err error) {
		failure := func() error { return nil }
		defer func() {
			// The goroutines of the bubble wait for each other.
			v := recover()
			if v == nil {
				return
			}
			err = fmt.Errorf("want the history to come to an end, got %v\n%s", v, bubbleStacks())
			if before := failure(); before != nil {
				err = fmt.Errorf("%w; then %w", before, err)
			}
		}()
		synctest.Test(t, func(t *testing.T) {
			l := begin(t, h, trace)
			failure = l.failure
			err = l.run()
		})
		return err
	}
}

// bubbleStacks returns the stacks of the goroutines in the latest bubble. Earlier
// bubbles that never ended are left out, because their goroutines stay.
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

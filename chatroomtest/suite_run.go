package chatroomtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A suiteRun is a case that is being run. Its methods that fail the test must be
// called on the test's goroutine.
type suiteRun struct {
	// Fixed after construction.
	tb     testing.TB
	why    string
	limit  time.Duration
	hung   chan struct{}      // closed by watch, after dump is set
	ctx    context.Context    // ends when the case does, or hangs
	cancel context.CancelFunc // of ctx; called with mu held

	// running counts the suite's own goroutines, which end with the connections.
	running sync.WaitGroup

	// mu guards the fields below and those of conns.
	mu      sync.Mutex
	conns   []*suiteConn
	waits   []*string     // who waits for what
	dump    string        // waits, conns and all stacks, when the case has hung
	changed chan struct{} // closed and replaced when a connection gets something
}

// runCase runs c by what start makes for it. When it returns, the connections of
// the case are closed; the subject is left to tb.Cleanup.
func runCase[R any](tb testing.TB, c suiteCase[R], start func(*suiteRun) R, limit time.Duration) {
	r := &suiteRun{tb: tb, why: c.why, limit: limit, hung: make(chan struct{}), changed: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(r.watch)
	defer r.end()
	c.run(start(r))
}

// watch ends with the case. If the case takes too long, watch notes who waits for
// what and ends ctx, which closes the connections, so that whoever waits fails.
func (r *suiteRun) watch() {
	select {
	case <-r.ctx.Done():
		return
	case <-time.After(r.limit):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "the case has taken %v. Who waits for what:\n", r.limit)
	for _, wait := range r.waits {
		fmt.Fprintf(&b, "  %s\n", *wait)
	}
	for _, c := range r.conns {
		fmt.Fprintf(&b, "  %s: %s\n", c.label, c.stateLocked())
	}
	fmt.Fprintf(&b, "%s", stacks())
	r.dump = b.String()
	close(r.hung)
	r.cancel()
}

// end closes what the case has opened and waits for the suite's goroutines. They
// end then, unless Close of a connection does not end its reads and writes.
func (r *suiteRun) end() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() { // ends with the suite's goroutines
		defer close(ended)
		r.running.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(r.limit):
		r.tb.Errorf("chatroomtest: the case's connections are closed, and after %v something still waits for one\n%s", r.limit, stacks())
	}
}

// closeAtEnd closes c when the case ends or hangs. Each is closed on a goroutine
// of its own, since one may wait for another to close: TLS says goodbye, and a
// subject may wait until the server has hung up.
func (r *suiteRun) closeAtEnd(c io.Closer) {
	wait := func() {
		<-r.ctx.Done()
		_ = c.Close() // the case may have closed it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		go wait() // end does not wait for what comes as late as this
		return
	}
	r.running.Go(wait)
}

// fatalf fails the case. If it has hung, that is told too.
func (r *suiteRun) fatalf(format string, args ...any) {
	r.tb.Helper()
	msg := fmt.Sprintf("%s\nwhy it matters: %s", fmt.Sprintf(format, args...), r.why)
	select {
	case <-r.hung:
		msg += "\n" + r.dump
	default:
	}
	r.tb.Fatalf("chatroomtest: %s", msg)
}

// start runs f, which may block, on a goroutine of its own, and returns a channel
// that gets its result. If f hangs, the goroutine is left behind.
func (r *suiteRun) start(f func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f() }() // ends with f
	return result
}

// wait waits for a result.
func (r *suiteRun) wait(what string, result <-chan error) (err error) {
	r.tb.Helper()
	defer r.notes("the suite waits for %s", what)()
	select {
	case err = <-result:
	case <-r.hung:
		r.fatalf("the suite waited in vain for %s", what)
	}
	return err
}

// must runs f, which may block, and fails the case if it fails.
func (r *suiteRun) must(what string, f func() error) {
	r.tb.Helper()
	if err := r.wait(what, r.start(f)); err != nil {
		r.fatalf("want %s: %v", what, err)
	}
}

// mustFail fails the case unless the result is an error.
func (r *suiteRun) mustFail(what string, result <-chan error) {
	r.tb.Helper()
	if r.wait(what, result) == nil {
		r.fatalf("want %s with an error, got none", what)
	}
}

// until waits until cond, which it calls with r.mu held, or until timeout, which
// may be nil. It fails the case if one of streams ends first, or goes on with what
// is no frame. A case that hangs meanwhile tells that who waits for what.
func (r *suiteRun) until(who, what string, timeout <-chan time.Time, cond func() bool, streams ...*suiteConn) {
	r.tb.Helper()
	defer r.notes("%s waits for %s", who, what)()
	for {
		r.mu.Lock()
		ok, changed, over := cond(), r.changed, ""
		for _, c := range streams {
			if c.ended != nil || c.broken != nil {
				over = c.label + ": " + c.stateLocked()
			}
		}
		r.mu.Unlock()
		switch {
		case ok:
			return
		case over != "":
			r.fatalf("%s waited in vain for %s; %s", who, what, over)
		}
		select {
		case <-changed:
		case <-timeout:
			return
		case <-r.hung:
			r.fatalf("%s waited in vain for %s", who, what)
		}
	}
}

// notes keeps who waits for what, until over is called.
func (r *suiteRun) notes(format string, args ...any) (over func()) {
	wait := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits = append(r.waits, &wait)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waits = slices.DeleteFunc(r.waits, func(p *string) bool { return p == &wait })
	}
}

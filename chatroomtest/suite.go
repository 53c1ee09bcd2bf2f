package chatroomtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A SuiteOption configures [TestServer], [TestClient] and [TestListener].
type SuiteOption interface{ applySuite(*suiteConfig) }

type suiteConfig struct {
	skip   map[string]string // a case's name to why it is skipped
	hang   time.Duration
	bubble bool
}

func newSuiteConfig(opts []SuiteOption) suiteConfig {
	cfg := suiteConfig{skip: map[string]string{}, hang: hangTimeout}
	for _, o := range opts {
		o.applySuite(&cfg)
	}
	return cfg
}

type suiteOption func(*suiteConfig)

func (f suiteOption) applySuite(c *suiteConfig) { f(c) }

// SkipCase skips the case of a suite that has this name, and says why in the
// test's log. The default is to skip none. A name that no case of the suite has
// fails the test, so that a skip does not outlive its case.
func SkipCase(name, why string) SuiteOption {
	return suiteOption(func(c *suiteConfig) { c.skip[name] = why })
}

// WithHangTimeout sets how long a case may take. One that takes longer fails
// with what each of its connections waits for and the stacks of all goroutines.
// It is no measure of speed: set it well above what the slowest machine needs.
//
// The default, zero and negative are 10 seconds.
func WithHangTimeout(d time.Duration) SuiteOption {
	return suiteOption(func(c *suiteConfig) {
		if c.hang = d; d <= 0 {
			c.hang = hangTimeout
		}
	})
}

// InBubble runs each case inside a [testing/synctest] bubble of its own, in
// which a case that hangs is found out at once. The subject must then be made
// inside the bubble, by the function that the suite is given, and block on
// nothing but what is in it: no sockets, no processes; a [Listener] instead.
//
// The default is to run outside a bubble, over anything.
func InBubble() SuiteOption {
	return suiteOption(func(c *suiteConfig) { c.bubble = true })
}

// A suiteCase is one thing that a suite proves.
type suiteCase = caseOf[*suiteRun]

// A caseOf is a case that is run by an R.
type caseOf[R any] struct {
	name string
	why  string // a sentence; shown when the case fails
	run  func(r R)
}

// casesOf returns cases as those of a suite that start makes the runs for.
func casesOf[R any](cases []caseOf[R], start func(r *suiteRun) R) []suiteCase {
	all := make([]suiteCase, len(cases))
	for i, c := range cases {
		all[i] = suiteCase{c.name, c.why, func(r *suiteRun) { c.run(start(r)) }}
	}
	return all
}

func runSuite(t *testing.T, cases []suiteCase, opts []SuiteOption) {
	t.Helper()
	cfg := newSuiteConfig(opts)
	for name := range cfg.skip {
		if !slices.ContainsFunc(cases, func(c suiteCase) bool { return c.name == name }) {
			t.Errorf("chatroomtest: no case to skip is called %q", name)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if why, ok := cfg.skip[c.name]; ok {
				t.Skip(why)
			}
			if cfg.bubble {
				synctest.Test(t, func(t *testing.T) { testCase(t, c, cfg.hang) })
				return
			}
			testCase(t, c, cfg.hang)
		})
	}
}

// testCase runs c. When it returns the case's connections are closed, and
// the subject is left to tb.Cleanup.
func testCase(tb testing.TB, c suiteCase, hang time.Duration) {
	r := &suiteRun{tb: tb, why: c.why, limit: hang, changed: make(chan struct{}), hung: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.timer = time.AfterFunc(hang, r.hang)
	defer r.end()
	c.run(r)
}

// A suiteRun is a case that is being run. Its methods that fail the test must be
// called on the test's goroutine.
type suiteRun struct {
	// Fixed after construction.
	tb     testing.TB
	why    string
	limit  time.Duration
	timer  *time.Timer        // calls hang
	hung   chan struct{}      // closed by hang, after dump is set
	ctx    context.Context    // ends when the case does, or hangs
	cancel context.CancelFunc // of ctx; called with mu held

	// running counts the goroutines of the case.
	running sync.WaitGroup

	// mu guards the fields below and those of conns.
	mu      sync.Mutex
	conns   []*suiteConn
	closers []io.Closer   // what hang and end close besides conns
	pending []*string     // what is waited for, but for what conns tell
	dump    string        // who waits for whom, when the case has hung
	changed chan struct{} // closed and replaced when a connection gets something
}

// end closes what the case has opened and waits for the case's goroutines, which
// end then, unless closing a connection does not end what waits for it.
func (r *suiteRun) end() {
	r.timer.Stop()
	closed := r.closeAll()
	ended := make(chan struct{})
	go func() { // ends with the case's connections
		defer close(ended)
		<-closed
		r.running.Wait()
	}()
	patience := time.NewTimer(r.limit)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		r.tb.Errorf("chatroomtest: the case's connections are closed, and after %v something still waits for one\n%s", r.limit, stacks())
	}
}

// hang ends a case that takes too long: it notes who waits for whom and closes
// the connections, so that whoever waits fails.
func (r *suiteRun) hang() {
	r.mu.Lock()
	var b strings.Builder
	fmt.Fprintf(&b, "the case has taken %v. Who waits for what:\n", r.limit)
	for _, what := range r.pending {
		fmt.Fprintf(&b, "  the suite waits for %s\n", *what)
	}
	for _, c := range r.conns {
		fmt.Fprintf(&b, "  %s\n", c.describeLocked())
	}
	fmt.Fprintf(&b, "%s", stacks())
	r.dump = b.String()
	r.mu.Unlock()
	close(r.hung)
	r.closeAll()
}

// closeAll closes what the case has opened, and returns a channel that is closed
// when that is done.
func (r *suiteRun) closeAll() <-chan struct{} {
	r.mu.Lock()
	r.cancel()
	conns, closers := r.conns, r.closers
	r.closers = nil
	r.mu.Unlock()
	// All at once, since one may wait for another to close: TLS says goodbye, and
	// a subject may wait until the server has hung up.
	var closing sync.WaitGroup
	for _, c := range conns {
		closing.Go(func() { _ = c.nc.Close() }) // the case may have closed it
	}
	for _, c := range closers {
		closing.Go(func() { _ = c.Close() })
	}
	done := make(chan struct{})
	go func() { // ends with the closes
		defer close(done)
		closing.Wait()
	}()
	return done
}

// closeAtEnd closes c when the case ends or hangs.
func (r *suiteRun) closeAtEnd(c io.Closer) {
	r.mu.Lock()
	over := r.ctx.Err() != nil
	if !over {
		r.closers = append(r.closers, c)
	}
	r.mu.Unlock()
	if over {
		_ = c.Close()
	}
}

// fatalf fails the case. If it has hung, that is what is told.
func (r *suiteRun) fatalf(format string, args ...any) {
	r.tb.Helper()
	msg := fmt.Sprintf(format, args...)
	select {
	case <-r.hung:
		r.tb.Fatalf("chatroomtest: %s\nwhy it matters: %s\n%s", msg, r.why, r.dump)
	default:
		r.tb.Fatalf("chatroomtest: %s\nwhy it matters: %s", msg, r.why)
	}
}

// do runs f, which may block, on a goroutine of its own, and waits for it. The
// goroutine of one that hangs is left behind.
func (r *suiteRun) do(what string, f func()) {
	r.tb.Helper()
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		f()
	}()
	r.wait(what, done)
}

// wait waits until done is closed.
func (r *suiteRun) wait(what string, done <-chan struct{}) {
	r.tb.Helper()
	over := r.waitsFor(what)
	select {
	case <-done:
	case <-r.hung:
		r.fatalf("want %s: it did not happen", what)
	}
	over()
}

// waitsFor notes that something is waited for until over is called.
func (r *suiteRun) waitsFor(what string) (over func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(r.pending, &what)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pending = slices.DeleteFunc(r.pending, func(p *string) bool { return p == &what })
	}
}

// notifyLocked wakes who waits for a change. r.mu must be held.
func (r *suiteRun) notifyLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// dialFor connects, as the suite's user does it.
func (r *suiteRun) dialFor(label string, dial func() (net.Conn, error)) net.Conn {
	r.tb.Helper()
	var nc net.Conn
	var err error
	r.do(label+" to connect", func() {
		if nc, err = dial(); err == nil {
			r.closeAtEnd(nc)
		}
	})
	if err != nil {
		r.fatalf("connect %s: %v", label, err)
	}
	return nc
}

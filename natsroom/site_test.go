//go:build unix

package natsroom_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/natsroom"
)

// patience is how long anything may take. An engine takes up to 10 s to elect a leader.
const patience = 40 * time.Second

// quick is a beat that keeps tests short.
const quick = 200 * time.Millisecond

// A site is a chat server with its own connection to the engine.
type site struct {
	*chatroomtest.Server
	order  *natsroom.Order
	nc     *nats.Conn
	js     jetstream.JetStream
	events *events
}

// siteConfig says what a site has besides the usual.
type siteConfig struct {
	order  []natsroom.Option
	server []chatroom.ServerOption
	conn   []nats.Option
}

func newSite(t *testing.T, urls, name string, c siteConfig) *site {
	t.Helper()
	nc, err := natsroom.Connect(urls, c.conn...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s := &site{nc: nc, js: js, events: newEvents(t)}
	logger := slog.New(s.events)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.order, err = natsroom.Open(ctx, nc, name, append([]natsroom.Option{
		natsroom.WithReplicas(3), natsroom.WithBeat(quick), natsroom.WithLogger(logger),
	}, c.order...)...)
	require.NoError(t, err)
	t.Cleanup(s.order.Close)
	s.Server = chatroomtest.NewServer(t, append([]chatroom.ServerOption{
		chatroom.WithOrder(s.order), chatroom.WithLogger(logger),
	}, c.server...)...)
	return s
}

// newSites returns n sites of the same order, which know each other.
func newSites(t *testing.T, urls string, n int, c siteConfig) []*site {
	t.Helper()
	var sites []*site
	for range n {
		sites = append(sites, newSite(t, urls, streamName(t), c))
	}
	return sites
}

// streamNames has the names of orders by the names of the tests that run, and streams counts them.
var (
	streamNames sync.Map
	streams     atomic.Int64
)

// streamName returns the name of an order of the test's own, another one each time it runs.
func streamName(t *testing.T) string {
	name, known := streamNames.LoadOrStore(t.Name(), fmt.Sprintf("test-%d", streams.Add(1)))
	if !known {
		t.Cleanup(func() { streamNames.Delete(t.Name()) })
	}
	return name.(string)
}

// settle waits until what the site has submitted has come back.
func (s *site) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.order.Settle(ctx))
}

// stream changes and reads the order's stream.
func (s *site) stream(t *testing.T) jetstream.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := s.js.Stream(ctx, "chatroom-"+streamName(t))
	require.NoError(t, err)
	return stream
}

// Events are what a site logs.
type events struct {
	t     *testing.T
	attrs string

	*eventList
}

type eventList struct {
	mu      sync.Mutex
	all     []string
	seen    int
	changed chan struct{}
}

func newEvents(t *testing.T) *events {
	e := &events{t: t, eventList: &eventList{changed: make(chan struct{})}}
	t.Cleanup(func() {
		if t.Failed() {
			e.mu.Lock()
			defer e.mu.Unlock()
			t.Logf("a site's log:\n%s", strings.Join(e.all, "\n"))
		}
	})
	return e
}

func (e *events) Enabled(context.Context, slog.Level) bool { return true }

func (e *events) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v %s%s", r.Time.Format("05.000"), r.Level, r.Message, e.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	if r.Message != "message" {
		e.add(b.String())
	}
	return nil
}

func (e *events) add(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, line)
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *events) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &events{e.t, e.attrs + fmt.Sprint(attrs), e.eventList}
}

func (e *events) WithGroup(string) slog.Handler { return e }

// want waits for a line that has all parts, behind the last one that was wanted.
func (e *events) want(parts ...string) string {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		changed := e.changed
		for ; e.seen < len(e.all); e.seen++ {
			if hasAll(e.all[e.seen], parts) {
				line := e.all[e.seen]
				e.seen++
				e.mu.Unlock()
				return line
			}
		}
		e.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(e.t, "not logged", "%q", parts)
		}
	}
}

func hasAll(line string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(line, p) {
			return false
		}
	}
	return true
}

// has reports whether a line with all parts was logged.
func (e *events) has(parts ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range e.all {
		if hasAll(line, parts) {
			return true
		}
	}
	return false
}

// siteConn returns the options of a connection over a line, which notices soon when it is cut.
func siteConn(way *line) []nats.Option {
	return []nats.Option{way.option(), nats.PingInterval(quick), nats.FlusherTimeout(2 * quick)}
}

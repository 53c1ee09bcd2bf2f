//go:build unix

package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A floodRoom is a server over real sockets that is flooded. It knows who has left
// it, and why.
type floodRoom struct {
	*chatroom.Server
	t   testing.TB
	l   net.Listener
	ctx context.Context // ends when the test must have hung
	end func()          // closes the server and waits for it, as the end of the test does

	// mu guards the fields below.
	mu      sync.Mutex
	evicted map[string]int        // how often, by name
	leaves  map[string]chan error // of the names that somebody waits for
}

func newFloodRoom(t testing.TB, l net.Listener, opts ...chatroom.ServerOption) *floodRoom {
	t.Helper()
	r := &floodRoom{t: t, l: l, evicted: make(map[string]int), leaves: make(map[string]chan error)}
	limit := 20 * time.Second
	if _, ok := t.(*testing.B); ok || *floodLong {
		limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	r.ctx = ctx
	r.Server = chatroom.NewServer(append(opts, chatroom.WithOnLeave(r.noteLeave))...)
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, r.Close())
		assert.NoError(t, r.Shutdown(testContext(t)))
		assert.ErrorIs(t, <-served, chatroom.ErrServerClosed)
	})
	t.Cleanup(r.end)
	return r
}

func (r *floodRoom) noteLeave(_ context.Context, m chatroom.Member, reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(reason, chatroom.ErrSlowConsumer) {
		r.evicted[m.Name]++
	}
	if ch := r.leaves[m.Name]; ch != nil {
		ch <- reason
	}
}

// watchLeaves returns a channel of the reasons why members of that name leave.
func (r *floodRoom) watchLeaves(name string) <-chan error {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := make(chan error, 1000)
	r.leaves[name] = ch
	return ch
}

// leave waits for one of the reasons that watchLeaves tells.
func (r *floodRoom) leave(leaves <-chan error) error {
	select {
	case reason := <-leaves:
		return reason
	case <-r.ctx.Done():
		return errors.New("nobody has left")
	}
}

// evictions returns how often members were evicted, by name.
func (r *floodRoom) evictions() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]int, len(r.evicted))
	for name, n := range r.evicted {
		all[name] = n
	}
	return all
}

// dial connects as a member of that name, with a receive buffer of that many
// bytes.
func (r *floodRoom) dial(name string, receive int) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if receive == defaultReceive {
			return nil
		}
		if ctlErr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
		}); ctlErr != nil {
			return ctlErr
		}
		return err
	}}
	nc, err := d.DialContext(r.ctx, r.l.Addr().Network(), r.l.Addr().String())
	if err != nil {
		return nil, err
	}
	if until, ok := r.ctx.Deadline(); ok {
		_ = nc.SetDeadline(until)
	}
	if _, err := nc.Write(chatroom.AppendFrame(nil, []byte(name))); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

// join is dial for each of names, and waits until the room lists all of them.
func (r *floodRoom) join(receive int, names ...string) []net.Conn {
	r.t.Helper()
	joined := r.Stats().Joins
	conns := make([]net.Conn, len(names))
	for i, name := range names {
		nc, err := r.dial(name, receive)
		require.NoError(r.t, err)
		r.t.Cleanup(func() { _ = nc.Close() })
		conns[i] = nc
	}
	for r.Stats().Joins < joined+uint64(len(names)) {
		require.NoError(r.t, r.ctx.Err(), "not all have joined")
		runtime.Gosched()
	}
	return conns
}

// joinReaders joins a member for each rate, and returns a function that waits until
// each has read so many messages of a flood.
func (r *floodRoom) joinReaders(rates []float64, receive int) (read func(messages int)) {
	r.t.Helper()
	conns := r.join(receive, namesOf("reader", len(rates))...)
	return func(messages int) {
		r.t.Helper()
		assertAll(r.t, len(conns), func(i int) error {
			return readNumbered(&pacedConn{Conn: conns[i], rate: rates[i]}, messages)
		})
	}
}

// assertAll runs do for each of n members, for all at the same time. It reports
// the first that fails, and how many do.
func assertAll(t testing.TB, n int, do func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var doing sync.WaitGroup
	for i := range errs {
		doing.Go(func() { errs[i] = do(i) })
	}
	doing.Wait()
	first, failed := -1, 0
	for i, err := range errs {
		if err != nil {
			if failed++; first < 0 {
				first = i
			}
		}
	}
	if failed > 0 {
		assert.NoError(t, errs[first], "member %d of %d; %d have failed", first, n, failed)
	}
}

// namesOf returns n names for members that do the same.
func namesOf(what string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(what, " ", i)
	}
	return names
}

// tooSlow returns nuisances that read at a little less than the share of rate that
// a room waits for, and at much less.
func tooSlow(rate float64) []nuisance {
	return []nuisance{{"0.24", 0.24 * rate}, {"0.2", 0.2 * rate}, {"0.1", 0.1 * rate}, {"0.05", 0.05 * rate}}
}

// silent returns n nuisances that never read.
func silent(n int) []nuisance {
	all := make([]nuisance, n)
	for i, name := range namesOf("silent", n) {
		all[i] = nuisance{name, never}
	}
	return all
}

// flood sends that many messages as a member of its own, as fast as the room takes
// them, and returns when they are sent and read has read them.
func (r *floodRoom) flood(messages int, read func(messages int)) {
	r.t.Helper()
	nc := r.join(defaultReceive, "flooder")[0]
	defer nc.Close()
	while(func() {
		const batch = 32
		body := numberedBody(0)
		var frames []byte
		for n := 0; n < messages; {
			frames = frames[:0]
			for range min(batch, messages-n) {
				renumber(body, n)
				frames = chatroom.AppendFrame(frames, body)
				n++
			}
			if _, err := nc.Write(frames); !assert.NoError(r.t, err, "the flooder's message %d", n) {
				return
			}
		}
	}, func() { read(messages) })
}

// floodAsProgram is flood with broadcasts.
func (r *floodRoom) floodAsProgram(messages int, read func(messages int)) {
	r.t.Helper()
	while(func() { r.broadcast(messages) }, func() { read(messages) })
}

// broadcast sends that many messages as the program.
func (r *floodRoom) broadcast(messages int) {
	r.t.Helper()
	body := numberedBody(0)
	for n := range messages {
		renumber(body, n)
		if !assert.NoError(r.t, r.Broadcast(r.ctx, "flooder", body), "broadcast %d", n) {
			return
		}
	}
}

// while runs both functions at the same time, do on this goroutine, and returns when
// both have.
func while(background, do func()) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(background)
	do()
}

// A nuisance is a member that reads at a rate, or never, and comes back whenever it
// is put out.
type nuisance struct {
	name string
	rate float64
}

const never = -1 // the rate of a nuisance that does not read at all

// annoy lets the nuisances in, and returns when all have joined for the first
// time. They go when the room does, or end is called.
func (r *floodRoom) annoy(receive int, all ...nuisance) (end func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx)
	var coming sync.WaitGroup
	for _, n := range all {
		leaves := r.watchLeaves(n.name)
		nc := r.join(receive, n.name)[0]
		coming.Go(func() { r.comeBack(ctx, n, nc, receive, leaves) })
	}
	end = func() {
		cancel()
		coming.Wait()
	}
	r.t.Cleanup(end)
	return end
}

func (r *floodRoom) comeBack(ctx context.Context, n nuisance, nc net.Conn, receive int, leaves <-chan error) {
	for {
		stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
		if n.rate != never {
			_, _ = io.Copy(io.Discard, &pacedConn{Conn: nc, rate: n.rate})
		}
		select {
		case <-leaves:
		case <-ctx.Done():
		}
		stop()
		_ = nc.Close()
		if ctx.Err() != nil {
			return
		}
		var err error
		if nc, err = r.dial(n.name, receive); err != nil {
			return // the room has gone
		}
	}
}

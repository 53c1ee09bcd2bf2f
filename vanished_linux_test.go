package chatroom_test

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A namespace is a network of its own. Sockets that are made in it stay in it.
type namespace struct {
	thread int         // its id, by which others find the namespace
	jobs   chan func() // run by that thread, which ends when this is closed
}

// newNamespace makes a namespace that lasts as long as the test. It skips the test
// where that takes rights that the test has not got.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	ns := &namespace{jobs: make(chan func())}
	made := make(chan error)
	go ns.run(made)
	if err := <-made; err != nil {
		t.Skipf("this test needs a network namespace, and so root: %v", err)
	}
	t.Cleanup(func() { close(ns.jobs) })
	return ns
}

func (ns *namespace) run(made chan<- error) {
	runtime.LockOSThread()
	if syscall.Gettid() == syscall.Getpid() { // to others, the whole process would be in the namespace
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		go func() {
			defer close(done)
			ns.run(made) // on another thread, since this goroutine keeps its own
		}()
		<-done
		return
	}
	// The thread stays locked: it ends with this goroutine, and the namespace with it.
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		made <- err
		return
	}
	ns.thread = syscall.Gettid()
	made <- nil
	for job := range ns.jobs {
		job()
	}
}

// do runs job in the namespace. It must not end the goroutine.
func (ns *namespace) do(job func() error) error {
	done := make(chan error)
	ns.jobs <- func() { done <- job() }
	return <-done
}

// ip runs the command of that name in the namespace.
func (ns *namespace) ip(args ...string) error {
	return ns.do(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w: %s", args, err, out)
		}
		return nil
	})
}

// A cabledRoom is a room whose listener is in one network, and its members in another
// that a cable connects to it.
type cabledRoom struct {
	*floodRoom
	near, far *namespace
}

// newCabledRoom makes a room, or skips the test where that takes rights that the test
// has not got.
func newCabledRoom(t *testing.T, opts ...chatroom.ServerOption) *cabledRoom {
	t.Helper()
	near, far := newNamespace(t), newNamespace(t)
	for _, step := range []struct {
		in   *namespace
		args []string
	}{
		{near, []string{"link", "add", "near", "type", "veth", "peer", "name", "far", "netns", fmt.Sprint(far.thread)}},
		{near, []string{"address", "add", "192.0.2.1/30", "dev", "near"}},
		{near, []string{"link", "set", "near", "up"}},
		{far, []string{"address", "add", "192.0.2.2/30", "dev", "far"}},
		{far, []string{"link", "set", "far", "up"}},
	} {
		if err := step.in.ip(step.args...); err != nil {
			t.Skipf("this test needs two networks and a cable between them: %v", err)
		}
	}
	var l net.Listener
	require.NoError(t, near.do(func() (err error) {
		l, err = net.Listen("tcp", "192.0.2.1:0")
		return err
	}))
	return &cabledRoom{newFloodRoom(t, l, opts...), near, far}
}

// joinFar lists a member at the far end.
func (r *cabledRoom) joinFar(t *testing.T, name string, receive int) (peer net.Conn) {
	t.Helper()
	require.NoError(t, r.far.do(func() (err error) {
		peer, err = r.dial(name, receive)
		return err
	}))
	t.Cleanup(func() { _ = peer.Close() })
	waitForMembers(t, r.Server, 1)
	return peer
}

// pull makes what either end sends go to nobody, and nobody says so.
func (r *cabledRoom) pull(t *testing.T) {
	t.Helper()
	require.NoError(t, r.near.ip("neighbour", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:01", "dev", "near", "nud", "permanent"))
	require.NoError(t, r.far.ip("neighbour", "replace", "192.0.2.1", "lladdr", "02:00:00:00:00:02", "dev", "far", "nud", "permanent"))
}

const (
	vanishTimeout = time.Second // the write timeout
	vanishTicks   = 10          // in a write timeout
	vanishLimit   = 3 * vanishTicks
)

// A peer that vanishes without a word, as when its cable is pulled, leaves the
// room within two write timeouts of being owed something, however little that is:
// its socket takes all of it.
func TestVanishedPeerLeaves(t *testing.T) {
	t.Parallel()
	r := newCabledRoom(t, chatroom.WithWriteTimeout(vanishTimeout))
	leaves := r.watchLeaves("peer")
	peer := r.joinFar(t, "peer", defaultReceive)
	require.NoError(t, r.Broadcast(r.ctx, "flooder", numberedBody(0)))
	require.NoError(t, readNumbered(peer, 1))

	r.pull(t)
	tick := time.NewTicker(vanishTimeout / vanishTicks)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case reason := <-leaves:
			assert.Error(t, reason)
			return
		case <-tick.C:
			require.LessOrEqual(t, n, vanishLimit, "it is still a member")
			require.NoError(t, r.Broadcast(r.ctx, "flooder", numberedBody(n)))
		}
	}
}

// One that goes on acknowledging the last message for a while, and then vanishes,
// leaves as well, although nothing else is published: the first look comes too early.
func TestVanishedInTheMiddleLeaves(t *testing.T) {
	t.Parallel()
	r := newCabledRoom(t, chatroom.WithWriteTimeout(vanishTimeout))
	leaves := r.watchLeaves("peer")
	peer := r.joinFar(t, "peer", 4<<10)
	require.NoError(t, r.Broadcast(r.ctx, "flooder", make([]byte, 64<<10)))
	tick := time.NewTicker(vanishTimeout / vanishTicks)
	defer tick.Stop()
	for range vanishTicks / 2 {
		_, err := io.ReadFull(peer, make([]byte, 4<<10))
		require.NoError(t, err)
		<-tick.C
	}
	r.pull(t)
	for n := 1; ; n++ {
		select {
		case reason := <-leaves:
			assert.Error(t, reason)
			return
		case <-tick.C:
			require.LessOrEqual(t, n, vanishLimit, "it is still a member")
		}
	}
}

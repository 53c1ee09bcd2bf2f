package chatroom_test

import (
	"fmt"
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

// A peer that vanishes without a word, as when its cable is pulled, leaves the
// room within two write timeouts of being owed something, however little that is:
// its socket takes all of it.
func TestVanishedPeerLeaves(t *testing.T) {
	t.Parallel()
	const (
		timeout = time.Second
		ticks   = 10 // in a write timeout, at each of which the members are sent something
		limit   = 3 * ticks
	)
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
	r := newFloodRoom(t, l, chatroom.WithWriteTimeout(timeout))
	leaves := r.watchLeaves("peer")
	var peer net.Conn
	require.NoError(t, far.do(func() (err error) {
		peer, err = r.dial("peer", defaultReceive)
		return err
	}))
	defer peer.Close()
	waitForMembers(t, r.Server, 1)
	require.NoError(t, r.Broadcast(r.ctx, "flooder", numberedBody(0)))
	require.NoError(t, readNumbered(peer, 1))

	// What is sent to the peer goes to nobody now, and nobody says so.
	require.NoError(t, near.ip("neighbour", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:01", "dev", "near", "nud", "permanent"))
	tick := time.NewTicker(timeout / ticks)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case reason := <-leaves:
			assert.Error(t, reason)
			return
		case <-tick.C:
			require.LessOrEqual(t, n, limit, "it is still a member")
			require.NoError(t, r.Broadcast(r.ctx, "flooder", numberedBody(n)))
		}
	}
}

//go:build unix

// Package enginetest runs engines of several servers for tests, each server a process of its
// own, so that tests can kill and stop them.
package enginetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// patience is how long anything may take.
const patience = 30 * time.Second

// Build builds the command that runs a server, in dir, and returns its path. It is built
// without the race detector, under which servers miss each other's heartbeats.
func Build(dir string) (path string, err error) {
	_, file, _, _ := runtime.Caller(0)
	path = filepath.Join(dir, "engine")
	cmd := exec.Command("go", "build", "-o", path, "./engine")
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..", "natstest")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build engine: %w\n%s", err, out)
	}
	return path, nil
}

// A Cluster is an engine of several servers.
type Cluster struct {
	Nodes []*Node
	tb    testing.TB
}

// A Node is a server of an engine.
type Node struct {
	Name string
	Addr string

	tb     testing.TB
	binary string
	args   []string
	cmd    *exec.Cmd
	stdin  io.Closer
	ended  chan struct{}
	ready  chan string // has room for the first line
}

// Start starts an engine of n servers, which ends with the test. It blocks until they store on
// all of them.
func Start(tb testing.TB, binary string, n int) *Cluster {
	tb.Helper()
	dir, err := os.MkdirTemp("", "engine") // and not tb.TempDir, since tb may stand for many tests
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) }) // after the servers have ended
	addrs := freeAddrs(tb, 2*n)
	c := &Cluster{tb: tb}
	for i := range n {
		node := &Node{Name: "n" + strconv.Itoa(i+1), Addr: addrs[i], tb: tb, binary: binary}
		node.args = []string{
			"-name", node.Name, "-dir", filepath.Join(dir, node.Name), "-addr", node.Addr,
			"-cluster", addrs[n+i], "-routes", strings.Join(addrs[n:], ","),
		}
		c.Nodes = append(c.Nodes, node)
		node.launch()
		tb.Cleanup(node.Kill)
	}
	for _, node := range c.Nodes {
		node.await()
	}
	c.awaitReady()
	return c
}

// awaitReady waits until a stream can be made on all servers. The engine does not tell when its
// servers have found each other.
func (c *Cluster) awaitReady() {
	c.tb.Helper()
	nc, err := nats.Connect(c.URLs())
	require.NoError(c.tb, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(c.tb, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second) // some requests get no answer
		_, err := js.CreateStream(attempt, jetstream.StreamConfig{Name: "ready", Replicas: len(c.Nodes)})
		cancel()
		if err == nil {
			require.NoError(c.tb, js.DeleteStream(ctx, "ready"))
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			require.FailNow(c.tb, "engine is not ready", "%v", err)
		}
	}
}

// freeAddrs returns addresses of loopback that nobody listens on.
func freeAddrs(tb testing.TB, n int) []string {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		defer l.Close() //nolint:errcheck // all at the end, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// URLs returns what clients connect to.
func (c *Cluster) URLs() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, "nats://"+n.Addr)
	}
	return strings.Join(urls, ",")
}

// Leader returns the server that leads the stream, and those that do not.
func (c *Cluster) Leader(js jetstream.JetStream, stream string) (leader *Node, others []*Node) {
	c.tb.Helper()
	name := c.leaderName(js, stream)
	for _, n := range c.Nodes {
		if n.Name == name {
			leader = n
		} else {
			others = append(others, n)
		}
	}
	require.NotNil(c.tb, leader, "leader %q", name)
	return leader, others
}

// leaderName asks the engine, which tells nobody of its elections, until it knows.
func (c *Cluster) leaderName(js jetstream.JetStream, stream string) string {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		s, err := js.Stream(ctx, stream)
		if err == nil && s.CachedInfo().Cluster != nil && s.CachedInfo().Cluster.Leader != "" {
			return s.CachedInfo().Cluster.Leader
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			require.FailNow(c.tb, "no leader", "%v", err)
		}
	}
}

// launch starts the process.
func (n *Node) launch() {
	n.tb.Helper()
	cmd := exec.Command(n.binary, n.args...)
	stdin, err := cmd.StdinPipe() // which ends with this process, however that ends
	require.NoError(n.tb, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(n.tb, err)
	cmd.Stderr = os.Stderr
	require.NoError(n.tb, cmd.Start())
	ended, ready := make(chan struct{}), make(chan string, 1)
	n.cmd, n.stdin, n.ended, n.ready = cmd, stdin, ended, ready
	go func() { // ends with the process
		defer close(ended)
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		ready <- line
		_ = cmd.Wait() // killed, mostly
	}()
}

// await waits until the server accepts connections.
func (n *Node) await() {
	n.tb.Helper()
	select {
	case line := <-n.ready:
		require.Contains(n.tb, line, "nats://", "what the engine says")
	case <-time.After(patience):
		require.FailNow(n.tb, "engine does not start")
	}
}

// Start starts a server that was killed, with what it has stored.
func (n *Node) Start() {
	n.tb.Helper()
	n.launch()
	n.await()
}

// Kill kills the server, as a power failure would, if it runs.
func (n *Node) Kill() {
	if n.ended == nil {
		return
	}
	_ = n.cmd.Process.Kill()
	<-n.ended
}

// Stop stops the process without ending it, and Resume has it go on.
func (n *Node) Stop() { require.NoError(n.tb, n.cmd.Process.Signal(syscall.SIGSTOP)) }

// Resume has a stopped process go on.
func (n *Node) Resume() { require.NoError(n.tb, n.cmd.Process.Signal(syscall.SIGCONT)) }

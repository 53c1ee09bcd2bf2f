package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/natsroom/natstest"
)

// An engineProcess is a server of NATS as "chatroom cluster" runs them. Without the race
// detector it is quick enough.
type engineProcess struct {
	t    testing.TB
	node natstest.Node
	cmd  *exec.Cmd
}

// startEngine starts a server of NATS that is alone.
func startEngine(t testing.TB) *engineProcess {
	t.Helper()
	addrs, err := freePorts(1)
	require.NoError(t, err)
	e := &engineProcess{t: t, node: natstest.Node{Name: "alone", Dir: filepath.Join(t.TempDir(), "store"), Addr: addrs[0]}}
	e.start()
	return e
}

// start starts the server, again if it was killed, and returns when it can be reached.
func (e *engineProcess) start() {
	e.t.Helper()
	node, err := json.Marshal(e.node)
	require.NoError(e.t, err)
	stdout := newWatched(e.t)
	cmd := exec.Command(builtProgram(e.t), childCommand, engineCommand, string(node))
	cmd.Stdout = stdout
	stdin, err := cmd.StdinPipe()
	require.NoError(e.t, err)
	require.NoError(e.t, cmd.Start())
	e.t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // maybe kill has
	})
	e.cmd = cmd
	stdout.await("nats://")
}

func (e *engineProcess) kill() {
	e.t.Helper()
	require.NoError(e.t, e.cmd.Process.Kill())
	assert.Error(e.t, e.cmd.Wait())
}

func (e *engineProcess) url() string { return "nats://" + e.node.Addr }

// joinServed joins at addr, and returns when the server's log says so.
func joinServed(t testing.TB, log *watched, addr, name string) *chatroom.Conn {
	t.Helper()
	c, err := chatroom.Dial(t.Context(), "tcp", addr, name)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	log.await(" name=" + name + " ")
	return c
}

// clusterSeatOf returns the place that the flags of "chatroom serve" ask for.
func clusterSeatOf(t testing.TB, args ...string) (*clusterSeat, error) {
	t.Helper()
	fs := newFlags("serve")
	var flags clusterFlags
	flags.register(fs)
	require.NoError(t, fs.Parse(args))
	require.NoError(t, flags.check(fs))
	flags.electing = 2 * time.Second // there is one server of NATS
	return flags.join(t.Context(), slog.New(slog.DiscardHandler))
}

// TestServeCluster has two servers share a room, also after NATS was away.
func TestServeCluster(t *testing.T) {
	engine := startEngine(t)
	flags := []string{"-cluster", engine.url(), "-cluster-name", "test", "-replicas", "1"}
	one, oneAddr := startServer(t, "127.0.0.1:0", append(flags, "-debug-addr", "127.0.0.1:0")...)
	two, twoAddr := startServer(t, "127.0.0.1:0", flags...)
	assert.Contains(t, one.stderr.await("cluster joined"), "name=test engine="+engine.url())
	ann := joinServed(t, one.stderr, oneAddr, "ann")
	ben := joinServed(t, two.stderr, twoAddr, "ben")
	talk := func(text string) {
		t.Helper()
		require.NoError(t, ann.Send(t.Context(), []byte(text)))
		assert.Equal(t, chatroom.Message{From: "ann", Body: []byte(text)}, receive(t, ben))
		require.NoError(t, ben.Send(t.Context(), []byte(text+" to you")))
		assert.Equal(t, chatroom.Message{From: "ben", Body: []byte(text + " to you")}, receive(t, ann))
	}
	talk("hello")
	_, debugAddr, _ := strings.Cut(one.stderr.await("msg=debug"), " addr=")
	_, body := get(t, "http://"+debugAddr+"/debug/vars")
	var vars struct {
		Cluster struct {
			State     string
			Submitted uint64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &vars))
	assert.Equal(t, "in order", vars.Cluster.State)
	assert.EqualValues(t, 1, vars.Cluster.Submitted)

	engine.kill()
	one.stderr.await("cluster lost")
	two.stderr.await("cluster lost")
	engine.start()
	one.stderr.await("cluster back")
	two.stderr.await("cluster back")
	talk("welcome back")

	one.leave()
	assert.Equal(t, 0, one.wait())
	two.leave()
	assert.Equal(t, 0, two.wait())
}

// Whoever ends a server that cannot tell the others what was said is told so.
func TestServeClusterBlame(t *testing.T) {
	engine := startEngine(t)
	seat, err := clusterSeatOf(t, "-cluster", engine.url(), "-replicas", "1")
	require.NoError(t, err)
	defer seat.leave()
	srv := chatroom.NewServer(seat.options()...)
	require.NoError(t, srv.Broadcast(t.Context(), "host", []byte("hello")))
	require.NoError(t, srv.Flush(t.Context()))
	failed := errors.New("failed")
	assert.NoError(t, seat.blame(nil))
	assert.Equal(t, failed, seat.blame(failed))

	engine.kill()
	require.NoError(t, srv.Broadcast(t.Context(), "host", []byte("anybody?")))
	now, quit := context.WithCancel(t.Context())
	quit()
	err = seat.blame(shutdown(now, srv))
	assert.ErrorContains(t, err, "the cluster has not taken all that was said")
}

// Whoever joins a cluster is told what NATS lacks.
func TestServeClusterLacks(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: thisMachine, Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	require.True(t, s.ReadyForConnections(patience))
	_, err = clusterSeatOf(t, "-cluster", s.ClientURL())
	assert.EqualError(t, err, "NATS at "+s.ClientURL()+` has no JetStream; start it with "nats-server -js"`)

	engine := startEngine(t)
	_, err = clusterSeatOf(t, "-cluster", engine.url())
	assert.EqualError(t, err, "NATS at "+engine.url()+" has fewer servers than -replicas 3 asks for")
}

// A server that is told to end does not wait for NATS.
func TestServeClusterStuck(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // whoever connects there is not even greeted
	require.NoError(t, err)
	defer l.Close()
	r := startRun(t, "serve", "-addr", "127.0.0.1:0", "-cluster", l.Addr().String())
	nc, err := l.Accept()
	require.NoError(t, err)
	r.leave()
	assert.Equal(t, 1, r.wait())
	assert.Empty(t, r.stderr.String())
	require.NoError(t, nc.Close())
}

func TestEngineURLs(t *testing.T) {
	var e engineURLs
	require.NoError(t, e.set("nats://u:secret@a:1,b,tls://c:3"))
	assert.Equal(t, "nats://u:secret@a:1,nats://b,tls://c:3", e.String())
	assert.Equal(t, "nats://u:xxxxx@a:1,nats://b,tls://c:3", e.redacted())
	for _, bad := range []string{"", ",", "a,", "nats://", "nats://:4222", "http://a", "nats://a/b", "nats://a:x"} {
		assert.Error(t, e.set(bad), bad)
	}
}

// A child leaves when it is told to, and ends when its parent has.
func TestChildEnds(t *testing.T) {
	told := startRun(t, childCommand, "serve", "-addr", "127.0.0.1:0")
	told.stdout.await("127.0.0.1:")
	told.say("\n")
	assert.Equal(t, 0, told.wait())

	orphan := startRun(t, childCommand, "serve", "-addr", "127.0.0.1:0")
	orphan.stdout.await("127.0.0.1:")
	require.NoError(t, orphan.stdin.Close())
	orphan.wait()
}

// TestDemoDoesNotStart has the address of a server in use.
func TestDemoDoesNotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dir := t.TempDir()
	cmd := exec.Command(builtProgram(t), "cluster", "-addr", l.Addr().String())
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "TMP="+dir)
	out, err := cmd.CombinedOutput()
	assert.Error(t, err)
	assert.Contains(t, string(out), "server 1 | chatroom: "+l.Addr().String()+" is in use")
	assert.Contains(t, string(out), "chatroom: server 1 did not start")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"
)

const (
	engineServers = 3
	engineModule  = "github.com/nats-io/nats-server/v2"

	// engineTimeout is how long the engine may take for anything it is asked to do.
	engineTimeout = time.Minute
)

// An engine is servers of nats-server that know of each other, each a process of its own.
type engine struct {
	dir   string // where they store; removed at the end
	nodes []*engineNode
}

// An engineNode is one of them.
type engineNode struct {
	engineConfig
	*process // nil while it is down
}

// An engineConfig is what the process of a node is told.
type engineConfig struct {
	Name    string
	Clients string   // address for clients
	Cluster string   // address for the other nodes
	Others  []string // addresses of the other nodes
	Await   int      // for how many other nodes it waits when it starts
	Dir     string   // where it stores streams; empty for no streams
}

// startEngine starts an engine, with or without streams, and waits until its servers know of each
// other.
func startEngine(streams bool) (*engine, error) {
	const attempts = 3 // somebody else may take a port before a server does
	for attempt := 1; ; attempt++ {
		e, err := newEngine(streams)
		if err != nil {
			return nil, err
		}
		if err = e.start(e.nodes...); err == nil {
			return e, nil
		}
		e.stop()
		if attempt == attempts {
			return nil, err
		}
	}
}

// newEngine returns an engine whose nodes are down.
func newEngine(streams bool) (*engine, error) {
	clusters, err := freeAddrs(engineServers)
	if err != nil {
		return nil, err
	}
	e := &engine{}
	if streams {
		if e.dir, err = os.MkdirTemp("", "bench-engine-"); err != nil {
			return nil, err
		}
	}
	for i, cluster := range clusters {
		n := &engineNode{engineConfig: engineConfig{
			Name:    string(rune('a' + i)),
			Clients: "127.0.0.1:0",
			Cluster: cluster,
			Others:  slices.Concat(clusters[:i], clusters[i+1:]),
			Await:   engineServers - 1,
		}}
		if streams {
			n.Dir = filepath.Join(e.dir, n.Name)
		}
		e.nodes = append(e.nodes, n)
	}
	return e, nil
}

// freeAddrs returns addresses on loopback that nobody listens on.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := listen()
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // when all are found, so that each is another one
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// start starts nodes that are down, and waits until they accept clients. Started again they
// have the same addresses, and wait for no others.
func (e *engine) start(nodes ...*engineNode) error {
	for _, n := range nodes {
		config, err := json.Marshal(n.engineConfig)
		if err != nil {
			return err
		}
		cmd, err := own("engine", string(config))
		if err != nil {
			return err
		}
		if n.process, err = startProcess(cmd); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := n.awaitStart(); err != nil {
			return fmt.Errorf("the engine's server %s did not start: %w", n.Name, err)
		}
		n.Clients, n.Await = n.process.addrs[0], 0
	}
	return nil
}

// kill kills a node without a warning.
func (n *engineNode) kill() {
	n.stop()
	n.process = nil
}

// stop ends what runs, and removes what it has stored.
func (e *engine) stop() {
	for _, n := range e.nodes {
		if n.process != nil {
			n.kill()
		}
	}
	if e.dir != "" {
		_ = os.RemoveAll(e.dir) // at worst it stays in the temporary directory
	}
}

// addrs returns the addresses of all nodes for clients.
func (e *engine) addrs() (addrs []string) {
	for _, n := range e.nodes {
		addrs = append(addrs, n.Clients)
	}
	return addrs
}

// urls returns what a client of the engine connects to.
func (e *engine) urls() string { return "nats://" + strings.Join(e.addrs(), ",nats://") }

// leader returns the node that leads the engine's only stream, and the others.
func (e *engine) leader() (leader *engineNode, others []*engineNode, err error) {
	nc, err := nats.Connect(e.urls())
	if err != nil {
		return nil, nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		for _, n := range e.nodes {
			if info.Cluster != nil && info.Cluster.Leader == n.Name {
				leader = n
			} else {
				others = append(others, n)
			}
		}
	}
	if leader == nil {
		return nil, nil, cmp.Or(streams.Err(), errors.New("the engine has no stream with a leader"))
	}
	return leader, others, nil
}

// engineProcess is the other side of engine.start. It ends with the process that started it, which
// alone an interrupt is for, and then removes what it has stored.
func engineProcess(config string) error {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGPIPE)
	var c engineConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	if c.Dir != "" {
		defer func() {
			_ = os.RemoveAll(c.Dir)            // what is left stays in the temporary directory
			_ = os.Remove(filepath.Dir(c.Dir)) // by the last of them
		}()
	}
	o := &server.Options{
		ServerName: c.Name,
		Cluster:    server.ClusterOpts{Name: "bench"},
		JetStream:  c.Dir != "",
		StoreDir:   c.Dir,
		NoSigs:     true,
	}
	if c.Dir == "" { // then members may be its clients, and the load answers no pings
		o.PingInterval, o.DisableShortFirstPing = time.Hour, true
	}
	var err error
	if o.Host, o.Port, err = splitAddr(c.Clients); err != nil {
		return err
	}
	if o.Cluster.Host, o.Cluster.Port, err = splitAddr(c.Cluster); err != nil {
		return err
	}
	for _, other := range c.Others {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: other})
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.SetLogger(fatalLogger{}, false, false)
	s.Start()
	if !s.ReadyForConnections(engineTimeout) {
		return fmt.Errorf("no clients accepted within %v", engineTimeout)
	}
	for deadline := time.Now().Add(engineTimeout); s.NumRemotes() < c.Await; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d other servers found within %v, want %d", s.NumRemotes(), engineTimeout, c.Await)
		}
	}
	err = announce([]string{s.Addr().String()})
	s.Shutdown()
	s.WaitForShutdown()
	return err
}

// A fatalLogger ends the process with the server, as the server expects. It logs nothing else.
type fatalLogger struct{}

func (fatalLogger) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: engine: "+format+"\n", args...)
	os.Exit(1)
}

func (fatalLogger) Noticef(string, ...any) {}
func (fatalLogger) Warnf(string, ...any)   {}
func (fatalLogger) Errorf(string, ...any)  {}
func (fatalLogger) Debugf(string, ...any)  {}
func (fatalLogger) Tracef(string, ...any)  {}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(text); port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, err
}

// Package natstest runs the servers of an engine for package natsroom, in the process of its
// caller: for tests and for demonstrations. A room that matters has an engine of its own, on
// machines of its own; docs/cluster.md has how to set it up.
//
// It is a module of its own, so that natsroom does not require the engine. The command in
// natstest/engine runs one server as a process, which tests can stop and kill.
package natstest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout is how long a server may take until it accepts connections.
const startTimeout = 20 * time.Second

// A Node is one server of an engine.
type Node struct {
	Name    string   // unique in the engine
	Dir     string   // where it stores; kept when it ends
	Addr    string   // where clients connect; port 0 is any that is free
	Cluster string   // where the other servers connect; empty for a server alone
	Routes  []string // the Cluster addresses of all servers
	Sync    bool     // whether it has the disk take everything before it acknowledges
}

// A Server is a node that runs.
type Server struct{ inner *server.Server }

// Start starts the server and blocks until it accepts connections. It does not wait for
// the others.
func (n Node) Start() (*Server, error) {
	host, port, err := splitAddr(n.Addr)
	if err != nil {
		return nil, fmt.Errorf("natstest: parse client address: %w", err)
	}
	o := &server.Options{
		ServerName: n.Name,
		Host:       host,
		Port:       port,
		JetStream:  true,
		StoreDir:   n.Dir,
		SyncAlways: n.Sync,
		NoSigs:     true,
		NoLog:      true,
	}
	if n.Cluster != "" {
		host, port, err := splitAddr(n.Cluster)
		if err != nil {
			return nil, fmt.Errorf("natstest: parse cluster address: %w", err)
		}
		o.Cluster = server.ClusterOpts{Name: "chatroom", Host: host, Port: port}
		for _, addr := range n.Routes {
			if addr != n.Cluster {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: addr})
			}
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("natstest: configure: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, errors.New("natstest: server does not accept connections")
	}
	return &Server{s}, nil
}

// URL returns what clients connect to.
func (s *Server) URL() string { return s.inner.ClientURL() }

// Close ends the server, and returns when it has ended.
func (s *Server) Close() {
	s.inner.Shutdown()
	s.inner.WaitForShutdown()
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, err
}

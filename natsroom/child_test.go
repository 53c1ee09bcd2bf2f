//go:build unix

package natsroom_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/natsroom"
)

// runChild is a chat server in a process of its own, which ends with its standard input.
func runChild(where string) {
	urls, name, _ := strings.Cut(where, " ")
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	nc, err := natsroom.Connect(urls)
	exitIf(err)
	order, err := natsroom.Open(context.Background(), nc, name,
		natsroom.WithReplicas(3), natsroom.WithBeat(quick), natsroom.WithOutage(time.Minute), natsroom.WithLogger(logger))
	exitIf(err)
	s := chatroom.NewServer(chatroom.WithOrder(order), chatroom.WithLogger(logger))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	exitIf(err)
	go func() { exitIf(s.Serve(l)) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func exitIf(err error) {
	if err != nil {
		fmt.Println("level=ERROR msg=failed error=", err)
		os.Exit(1)
	}
}

// A child is a process that runs a chat server.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string
	events *events
	ended  chan struct{}
}

func startChild(t *testing.T, urls string) *child {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	c := &child{t: t, cmd: exec.Command(exe), events: newEvents(t), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+urls+" "+streamName(t))
	stdin, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	go func() { // ends with the process
		defer close(c.ended)
		defer stdin.Close()
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			c.events.add(lines.Text())
		}
		_ = c.cmd.Wait() // killed, mostly
	}()
	t.Cleanup(c.kill)
	_, c.addr, _ = strings.Cut(c.events.want("msg=listening"), "addr=")
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

// watch has a witness join, and returns once the child lists it.
func (c *child) watch(name string) *witness {
	c.t.Helper()
	nc, err := net.Dial("tcp", c.addr)
	require.NoError(c.t, err)
	w := newWitness(c.t, nc, name)
	c.events.want("msg=joined", "name="+name)
	return w
}

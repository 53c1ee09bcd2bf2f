package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"example.com/chatroom/natsroom/natstest"
)

// The names of commands that are not for users: "chatroom child COMMAND" is a part of
// "chatroom cluster".
const (
	childCommand  = "child"
	engineCommand = "engine"
)

// child runs a command as a process that another one has started. The first line of the
// standard input asks it to leave, and the end of the input ends it immediately, since its
// parent has died then. To the standard output it writes a line when it can be reached.
func (p *program) child(ctx, now context.Context, args []string) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	now, quit := context.WithCancel(now)
	defer quit()
	go func() { // ends with the input, or the process
		in := bufio.NewReader(p.stdin)
		_, _ = in.ReadString('\n')
		leave()
		_, _ = io.Copy(io.Discard, in)
		quit()
	}()
	p.level = slog.LevelInfo // several servers would log what is said
	p.ready = func(where ...string) { fmt.Fprintf(p.stdout, "%s\n", strings.Join(where, "\t")) }
	if len(args) == 2 && args[0] == engineCommand {
		return p.engine(ctx, args[1])
	}
	return p.command(ctx, now, args)
}

// engine runs a server of NATS until ctx ends, and removes what it has stored. The node is a
// natstest.Node in JSON.
func (p *program) engine(ctx context.Context, node string) error {
	var n natstest.Node
	if err := json.Unmarshal([]byte(node), &n); err != nil {
		return err
	}
	s, err := orLeave(ctx, n.Start)
	if err != nil {
		return err
	}
	p.ready(s.URL())
	<-ctx.Done()
	s.Close()
	err = os.RemoveAll(n.Dir)
	_ = os.Remove(filepath.Dir(n.Dir)) // works for the last one only
	return err
}

// A part is one of the processes of a demonstration, and can be started again when it has
// ended. One goroutine uses it.
type part struct {
	name string   // as the user is told
	args []string // the command, without "chatroom child"

	process *os.Process // nil when it has ended, or before it is started
	stdin   io.WriteCloser
	where   []string // where the process can be reached; nil until it can
}

// A partEvent is what happens to a part.
type partEvent struct {
	part  *part
	ended bool
	err   error    // of a process that has ended: how
	where []string // of one that has not: where it can be reached
}

// parts starts processes, and tells what happens to them.
type parts struct {
	// Fixed after construction.
	self   string         // the program's file
	log    io.Writer      // takes what processes log
	events chan partEvent // of a process, the last is that it has ended
}

func newParts(log io.Writer) (*parts, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program's own file: %w", err)
	}
	return &parts{self: self, log: log, events: make(chan partEvent)}, nil
}

// start starts the part's process. Until it has ended, the events must be received.
func (ps *parts) start(x *part) error {
	cmd := exec.Command(ps.self, append([]string{childCommand}, x.args...)...)
	cmd.SysProcAttr = ownGroup()
	stdin, err := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	stderr, errErr := cmd.StderrPipe()
	if err = errors.Join(err, errOut, errErr); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", x.name, err)
	}
	x.process, x.stdin, x.where = cmd.Process, stdin, nil
	go ps.watch(x, cmd, stdout, stderr)
	return nil
}

// watch tells what happens to a process, until that has ended.
func (ps *parts) watch(x *part, cmd *exec.Cmd, stdout, stderr io.Reader) {
	var logging sync.WaitGroup
	logging.Go(func() { ps.passLog(x.name, stderr) })
	in := bufio.NewScanner(stdout)
	for in.Scan() {
		ps.events <- partEvent{part: x, where: strings.Split(in.Text(), "\t")}
	}
	logging.Wait()
	ps.events <- partEvent{part: x, ended: true, err: cmd.Wait()}
}

// passLog passes lines on, each behind a name.
func (ps *parts) passLog(name string, r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			fmt.Fprintf(ps.log, "%s | %s\n", name, strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}

// take takes note of what happens to the part.
func (x *part) take(e partEvent) {
	x.where = e.where
	if e.ended {
		_ = x.stdin.Close() // nobody reads it
		x.process, x.stdin = nil, nil
	}
}

// leave asks the process to end, if there is one.
func (x *part) leave() {
	if x.process != nil {
		_, _ = io.WriteString(x.stdin, "\n") // fails if it is ending
	}
}

// kill ends the process without asking, if there is one.
func (x *part) kill() {
	if x.process != nil {
		_ = x.process.Kill() // fails if it has ended
	}
}

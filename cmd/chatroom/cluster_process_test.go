//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"example.com/chatroom"
)

// A demoProcess is a run of "chatroom cluster".
type demoProcess struct {
	t      testing.TB
	cmd    *exec.Cmd
	stderr *watched
	say    func(text string) // to its standard input
	dir    string            // for its temporary files
	pids   map[string]int    // of its parts, by their names
	urls   string            // of NATS
	ended  chan struct{}     // closed when it has ended
	status error             // valid then
}

// startDemo runs "chatroom cluster" with servers at addrs, and returns when all have started.
func startDemo(t testing.TB, addrs ...string) *demoProcess {
	t.Helper()
	args := []string{"cluster", "-verbose"}
	for _, addr := range addrs {
		args = append(args, "-addr", addr)
	}
	d := &demoProcess{
		t: t, cmd: exec.Command(builtProgram(t), args...), stderr: newWatched(t), dir: t.TempDir(),
		pids: make(map[string]int), ended: make(chan struct{}),
	}
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.dir)
	d.cmd.Stderr = d.stderr
	stdin, err := d.cmd.StdinPipe()
	require.NoError(t, err)
	d.say = func(text string) {
		_, err := stdin.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, d.cmd.Start())
	go func() { // ends with the process
		defer close(d.ended)
		d.status = d.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it has mostly ended
		<-d.ended
	})
	d.stderr.await("Ctrl-C ends all")
	said := d.stderr.String()
	for _, m := range regexp.MustCompile(`(?m)^ +kill -9 (\d+) +(\w+ \d)$`).FindAllStringSubmatch(said, -1) {
		d.pids[m[2]], err = strconv.Atoi(m[1])
		require.NoError(t, err)
	}
	require.Len(t, d.pids, engines+len(addrs))
	for _, addr := range addrs {
		require.Regexp(t, `(?m)^ +chatroom join -reconnect -name \w+ `+regexp.QuoteMeta(addr)+`$`, said)
	}
	d.urls = regexp.MustCompile(`-cluster (nats:\S+)`).FindStringSubmatch(said)[1]
	return d
}

// leader returns which of the engines leads the stream.
func (d *demoProcess) leader() string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	nc, err := nats.Connect(d.urls)
	require.NoError(d.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(d.t, err)
	for info := range js.ListStreams(ctx).Info() {
		return strings.ReplaceAll(info.Cluster.Leader, "-", " ")
	}
	require.FailNow(d.t, "there is no stream")
	panic("unreachable")
}

// wait returns how the demonstration ended.
func (d *demoProcess) wait() error {
	d.t.Helper()
	select {
	case <-d.ended:
		return d.status
	case <-time.After(patience):
		require.FailNow(d.t, "the demonstration does not end", "%s", d.stderr)
		panic("unreachable")
	}
}

// openProcess returns a descriptor that can be read once the process has ended.
func openProcess(t testing.TB, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ENOSYS {
		t.Skip("needs Linux 5.3")
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unix.Close(fd)) })
	return fd
}

// A demoMember is a member of the room that servers share.
type demoMember struct {
	name  string
	conn  *chatroom.Conn
	told  []chatroom.Message // owned by listen
	heard func(chatroom.Message)
}

// listen keeps what is said, until each of from has said its last line.
func (m *demoMember) listen(ctx context.Context, lines int, from ...string) error {
	for last := 0; last < len(from); {
		said, err := m.conn.Receive(ctx)
		if err != nil {
			return fmt.Errorf("%s, after %d messages: %w", m.name, len(m.told), err)
		}
		m.told = append(m.told, said)
		if m.heard != nil {
			m.heard(said)
		}
		for _, name := range from {
			if said.From == name && string(said.Body) == strconv.Itoa(lines-1) {
				last++
			}
		}
	}
	return nil
}

// talk says numbers. It is never more than so many ahead of what a listener has heard, so
// that whatever happens to the listener happens within the flood.
func (m *demoMember) talk(ctx context.Context, lines int, turn <-chan struct{}) error {
	for n := range lines {
		select {
		case <-turn:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := m.conn.Send(ctx, []byte(strconv.Itoa(n))); err != nil {
			return fmt.Errorf("%s, number %d: %w", m.name, n, err)
		}
	}
	return nil
}

// TestDemo floods the room of a demonstration through three servers, and kills the leader of
// NATS and a server meanwhile. The members of the other servers hear everything once, in one
// order. Both come back when they are asked to. Nothing is left in the end.
func TestDemo(t *testing.T) {
	const lines, ahead = 3000, 200
	addrs, err := freePorts(3)
	require.NoError(t, err)
	d := startDemo(t, addrs...)
	join := func(server int, name string) *demoMember {
		return &demoMember{name: name, conn: joinServed(t, d.stderr, addrs[server], name)}
	}
	ear0, ear1 := join(0, "ear0"), join(1, "ear1")
	ann, ben, cem := join(0, "ann"), join(1, "ben"), join(2, "cem")
	leader := d.leader()

	// Whoever talks has its turns from a listener that hears ann or ben through another server.
	turns := make(map[string]chan struct{})
	for _, name := range []string{"ann", "ben", "cem"} {
		turns[name] = make(chan struct{}, lines+ahead)
		for range ahead {
			turns[name] <- struct{}{}
		}
	}
	kills := map[string]string{strconv.Itoa(lines / 3): leader, strconv.Itoa(2 * lines / 3): "server 3"}
	ear1.heard = func(m chatroom.Message) {
		if m.From != "ann" {
			return
		}
		if name := kills[string(m.Body)]; name != "" {
			assert.NoError(t, syscall.Kill(d.pids[name], syscall.SIGKILL))
		}
		turns["ann"] <- struct{}{}
		turns["cem"] <- struct{}{}
	}
	ear0.heard = func(m chatroom.Message) {
		if m.From == "ben" {
			turns["ben"] <- struct{}{}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // electing another leader takes some of it
	defer cancel()
	var all sync.WaitGroup
	for _, m := range []*demoMember{ear0, ear1} {
		all.Go(func() { assert.NoError(t, m.listen(ctx, lines, "ann", "ben")) })
	}
	all.Go(func() { assert.NoError(t, ann.listen(ctx, lines, "ben")) })
	all.Go(func() { assert.NoError(t, ben.listen(ctx, lines, "ann")) })
	cemLives, cemDies := context.WithCancel(ctx)
	all.Go(func() {
		defer cemDies()
		assert.Error(t, cem.listen(ctx, lines, "nobody"))
	})
	for _, m := range []*demoMember{ann, ben} {
		all.Go(func() { assert.NoError(t, m.talk(ctx, lines, turns[m.name])) })
	}
	all.Go(func() { assert.Error(t, cem.talk(cemLives, math.MaxInt, turns["cem"])) })
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}

	for _, name := range kills {
		d.stderr.await(fmt.Sprintf("%s, process %d, has ended (signal: killed)", name, d.pids[name]))
	}
	assert.Equal(t, ear0.told, ear1.told)
	next := make(map[string]int)
	for _, m := range ear0.told {
		require.Equal(t, strconv.Itoa(next[m.From]), string(m.Body), "of %s", m.From)
		next[m.From]++
	}
	assert.Equal(t, lines, next["ann"])
	assert.Equal(t, lines, next["ben"])
	assert.Less(t, next["cem"], lines, "it was killed too late")
	t.Logf("%s led; server 3 had passed on %d lines", leader, next["cem"])
	for _, m := range []*demoMember{ann, ben} {
		others := without(ear0.told, m.name)
		require.LessOrEqual(t, len(m.told), len(others))
		assert.Equal(t, others[:len(m.told)], m.told, "heard by %s", m.name)
	}

	d.say("\n")
	d.stderr.await(leader + " is there again")
	d.stderr.await("server 3 is there again")
	dora := join(2, "dora")
	require.NoError(t, ann.conn.Send(t.Context(), []byte("welcome back")))
	assert.Equal(t, chatroom.Message{From: "ann", Body: []byte("welcome back")}, receive(t, dora.conn))

	require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
	assert.NoError(t, d.wait())
	d.checkGone()
}

// without returns what others than name have said.
func without(all []chatroom.Message, name string) (rest []chatroom.Message) {
	for _, m := range all {
		if m.From != name {
			rest = append(rest, m)
		}
	}
	return rest
}

// checkGone checks that the demonstration, which has ended, has left nothing.
func (d *demoProcess) checkGone() {
	d.t.Helper()
	for name, pid := range d.pids {
		assert.Equal(d.t, syscall.ESRCH, syscall.Kill(pid, 0), name)
	}
	left, err := os.ReadDir(d.dir)
	require.NoError(d.t, err)
	assert.Empty(d.t, left)
}

// TestDemoKilled kills a demonstration, which takes its parts with it.
func TestDemoKilled(t *testing.T) {
	addrs, err := freePorts(1)
	require.NoError(t, err)
	d := startDemo(t, addrs...)
	parts := make(map[string]int)
	for name, pid := range d.pids {
		parts[name] = openProcess(t, pid)
	}
	require.NoError(t, d.cmd.Process.Kill())
	assert.Error(t, d.wait())
	for name, fd := range parts {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		require.NoError(t, err)
		assert.Equal(t, 1, n, "%s does not end", name)
	}
	left, err := os.ReadDir(d.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

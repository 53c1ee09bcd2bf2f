//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process is the program, hosting a room.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	addr   string
	stderr bytes.Buffer // valid once ended is closed, as are those below
	left   []string
	ended  chan struct{}
	status error
}

func startProcess(t testing.TB, binary string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, "serve", "-addr", "127.0.0.1:0"), ended: make(chan struct{})}
	// A limit has the runtime give back early what it does not need.
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=all", "GOMEMLIMIT=32MiB")
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	_, addr, ok := strings.Cut(strings.TrimSpace(first), " addr=")
	require.True(t, ok, "it said %q", first)
	p.addr = addr
	go func() { // ends with the process
		defer close(p.ended)
		p.keepEnd(lines)
		p.status = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has mostly ended
		<-p.ended
	})
	return p
}

// keepEnd reads r to its end and keeps the last of it, for the log is long, and
// the lines that say why a survivor left.
func (p *process) keepEnd(r *bufio.Reader) {
	const most = 1 << 20
	for {
		line, err := r.ReadSlice('\n')
		if bytes.Contains(line, []byte("msg=left")) && bytes.Contains(line, []byte("survivor")) {
			p.left = append(p.left, string(line))
		}
		p.stderr.Write(line)
		if p.stderr.Len() > 2*most {
			p.stderr.Next(p.stderr.Len() - most)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

// wait returns how the process ended.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.status
	case <-time.After(3 * patience / 2): // shutdownTimeout and more
		require.FailNow(p.t, "the program does not end")
		panic("unreachable")
	}
}

// files returns how many descriptors the process has open.
func (p *process) files() int {
	p.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	return len(open)
}

// awaitFiles waits until the process has no more than n descriptors open.
func (p *process) awaitFiles(n int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); p.files() > n; time.Sleep(10 * time.Millisecond) {
		require.True(p.t, time.Now().Before(deadline), "%d descriptors are open, there were %d", p.files(), n)
	}
}

// resident returns the process's resident memory in bytes.
func (p *process) resident() int {
	p.t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	require.NoError(p.t, err)
	return pages * os.Getpagesize()
}

// awaitResident waits until the process's resident memory is no more than limit,
// and returns it.
func (p *process) awaitResident(limit int) int {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		n := p.resident()
		if n <= limit {
			return n
		}
		require.True(p.t, time.Now().Before(deadline), "%d MiB are resident, want %d at most", n>>20, limit>>20)
	}
}

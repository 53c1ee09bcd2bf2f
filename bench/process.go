//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a server in a process of its own.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	addrs []string
}

// startServer starts p's server with that many rooms.
func startServer(p *peer, rooms int) (*process, error) {
	cmd, err := own("serve", p.name, strconv.Itoa(rooms))
	if err != nil {
		return nil, err
	}
	if p.exec != nil {
		cmd = p.exec()
	}
	s, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	if err := s.awaitStart(); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s did not start: %w", p.name, err)
	}
	return s, nil
}

// own returns a command that runs this program.
func own(args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(path, args...), nil
}

// startProcess starts a server, and does not wait until it serves.
func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// awaitStart waits until the server has said where it serves.
func (s *process) awaitStart() error {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, &s.addrs)
}

func (s *process) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
}

// collect makes the server give back as much memory as it can. It returns how
// many bytes the server keeps.
func (s *process) collect() (int64, error) {
	if _, err := fmt.Fprintln(s.in); err != nil {
		return 0, err
	}
	if _, err := s.out.ReadBytes('\n'); err != nil {
		return 0, err
	}
	return s.memory("VmRSS:")
}

// cpu returns the processor time that the process has used, user and system.
func (s *process) cpu() time.Duration {
	// As clock_getcpuclockid makes it.
	return clock(int32(^s.cmd.Process.Pid<<3 | 2))
}

// ownCPU returns the processor time that this process has used.
func ownCPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// memory returns a line of the process's status, in bytes.
func (s *process) memory(key string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == key {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", key, s.cmd.Process.Pid)
}

// serveProcess is the other side of startServer. It serves until its input
// ends.
func serveProcess(name, rooms string) error {
	p := findPeer(name)
	n, err := strconv.Atoi(rooms)
	if p == nil || p.serve == nil || err != nil {
		return fmt.Errorf("no server %q with %q rooms", name, rooms)
	}
	addrs, err := p.serve(n)
	if err != nil {
		return err
	}
	return announce(addrs)
}

// announce tells the starting process where this one serves. It returns when that process has
// ended or does not need this one any more.
func announce(addrs []string) error {
	if err := json.NewEncoder(os.Stdout).Encode(addrs); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for range 3 {
			runtime.GC() // pools take more than one
		}
		debug.FreeOSMemory()
		fmt.Println()
	}
	return nil
}

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain has this program also be the servers that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "engine" {
		if err := engineProcess(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "engine:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// In each round the messages of one group carry the time, and no others.
func TestSharedLoopStampsOneGroup(t *testing.T) {
	const window = 3
	l := &load{}
	for i := range sharedGroups * (groupSenders + 1) {
		m := &member{group: i / (groupSenders + 1)}
		m.encode = bytes.Clone
		l.members = append(l.members, m)
	}
	loop := newSharedLoop(l, window)
	seen := make(map[int]bool)
	for range 2 * sharedGroups {
		for i, m := range loop.senders {
			burst := loop.next(i)
			if len(burst) != window*payloadLen {
				t.Fatalf("a burst of %d bytes, want %d", len(burst), window*payloadLen)
			}
			for message := range slices.Chunk(burst, payloadLen) {
				d := sinceStamp(message[:stampLen], time.Now())
				if stamped := d >= 0; stamped != (m.group == loop.stamping()) || d > time.Minute {
					t.Errorf("a message of group %d is %v old while group %d stamps", m.group, d, loop.stamping())
				}
			}
		}
		seen[loop.stamping()] = true
	}
	if len(seen) != sharedGroups {
		t.Errorf("groups %v stamp, want all %d", seen, sharedGroups)
	}
}

// A flow notices when everyone who is left receives what was sent after a failure.
func TestFlowAwaits(t *testing.T) {
	l, err := newEmptyLoad()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var others []int // the far ends of the connections
	for group := range sharedGroups {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(pair[1]) }()
		m := &member{socket: &socket{fd: pair[0]}, group: group, observed: group > 0}
		m.encode, m.delivery = bytes.Clone, payloadLen
		if err := l.watch(m); err != nil {
			t.Fatal(err)
		}
		l.members, others = append(l.members, m), append(others, pair[1])
	}
	f, err := newFlow(l)
	if err != nil {
		t.Fatal(err)
	}
	defer f.stop()
	f.leave(sharedGroups - 1)
	if len(f.members) != sharedGroups-1 || len(f.newest) != 1 {
		t.Fatalf("%d members are left and %d observed, want %d and 1", len(f.members), len(f.newest), sharedGroups-1)
	}

	// The server passes on what comes to the observer who is left, and says when.
	passed := make(chan error, 1)
	go func() {
		buf := make([]byte, payloadLen)
		for {
			n, err := unix.Read(others[0], buf)
			if err == nil && n > 0 {
				_, err = unix.Write(others[1], buf[:n])
			}
			if err != nil || n == 0 {
				passed <- err
				return
			}
		}
	}()
	since := time.Now()
	if err := f.awaitSentAfter(since); err != nil {
		t.Error(err)
	}
	if took := time.Since(since); f.longest <= 0 || f.longest > took {
		t.Errorf("a message took %v within %v", f.longest, took)
	}
	if err := f.finish(); err != nil {
		t.Error(err)
	}
	if err := unix.Shutdown(f.sender.fd, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if err := <-passed; err != nil {
		t.Error(err)
	}
}

// The engine's servers end with the process that has started them, and leave nothing behind.
func TestEngineEndsWithItsStarter(t *testing.T) {
	e, err := startEngine(true)
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	if _, err := os.Stat(e.dir); err != nil {
		t.Error(err)
	}
	for _, n := range e.nodes {
		_ = n.cmd.Process.Signal(os.Interrupt) // which is for the starter
	}
	if err := e.nodes[0].in.Close(); err != nil { // as the starter's end does
		t.Fatal(err)
	}
	if err := e.nodes[0].cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, n := range e.nodes[1:] {
		if err := n.in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range e.nodes[1:] {
		if err := n.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(e.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", e.dir, err)
	}
}

// The scenarios of shared rooms are run only if they are named, and with their own peers.
func TestSelectScenarios(t *testing.T) {
	for list, want := range map[string]string{
		"":                 "closed open idle stalled join growth rooms memory",
		"cluster":          "cluster cluster/failures",
		"cluster/failures": "cluster/failures",
		"join, cluster":    "join cluster cluster/failures",
	} {
		chosen, err := selectScenarios(list)
		if err != nil {
			t.Errorf("%q: %v", list, err)
		}
		var got []string
		for _, s := range chosen {
			got = append(got, s.name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
		used, _ := onlyUsed(peers, chosen)
		for _, p := range used {
			if list == "" && p.sharing != nil || strings.HasPrefix(list, "cluster") && p.sharing == nil {
				t.Errorf("%q: runs %s", list, p.name)
			}
		}
	}
	if _, err := selectScenarios("clust"); err == nil {
		t.Error("half a name is accepted")
	}
	for _, s := range scenarios {
		for name := range strings.SplitSeq(s.only, ",") {
			if name != "" && findPeer(name) == nil {
				t.Errorf("scenario %s is for %q, which is no peer", s.name, name)
			}
		}
	}
}

// A server of the engine that cannot listen ends immediately, so that it can be started elsewhere.
func TestEngineTellsOfTakenPort(t *testing.T) {
	e, err := newEngine(false)
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	taken, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	n := e.nodes[0]
	n.Cluster = taken.Addr().String()
	if err := e.start(n); err == nil {
		t.Error("it has started")
	}
	if err := n.cmd.Wait(); err == nil || n.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, want an exit code of 1", n.cmd.ProcessState)
	}
}

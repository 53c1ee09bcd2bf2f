package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(buildDir) // nothing, unless the program was built
		os.Exit(status)
	}))
}

// buildDir is where builtProgram has built the program.
var buildDir string

// build builds the program, without the race detector.
var build = sync.OnceValues(func() (file string, err error) {
	if buildDir, err = os.MkdirTemp("", "chatroom-test"); err != nil {
		return "", err
	}
	file = filepath.Join(buildDir, "chatroom.exe") // Windows insists on the end
	out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, err
})

// builtProgram returns the file of the program, which is built once for all tests.
func builtProgram(t testing.TB) string {
	t.Helper()
	file, err := build()
	require.NoError(t, err)
	return file
}

// A testRun is a run of the command in this process.
type testRun struct {
	t      testing.TB
	leave  context.CancelFunc // the first signal
	quit   context.CancelFunc // the second
	stdin  *io.PipeWriter
	stdout *watched
	stderr *watched
	done   chan struct{} // closed when run has returned
	status int           // valid when done is closed
}

// startRun runs the command with args until it ends or the test does. Its
// standard input is open and empty.
func startRun(t testing.TB, args ...string) *testRun {
	t.Helper()
	return startRunTo(t, newWatched(t), args...)
}

// startRunTo is startRun with a standard output of the caller's.
func startRunTo(t testing.TB, stdout *watched, args ...string) *testRun {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	now, quit := context.WithCancel(context.Background())
	in, stdin := io.Pipe()
	r := &testRun{
		t: t, leave: leave, quit: quit, stdin: stdin,
		stdout: stdout, stderr: newWatched(t), done: make(chan struct{}),
	}
	go func() {
		defer close(r.done)
		r.status = run(ctx, now, args, in, r.stdout, r.stderr)
	}()
	t.Cleanup(func() {
		leave()
		quit()
		_ = stdin.Close()
		<-r.done
	})
	return r
}

// wait returns the exit status.
func (r *testRun) wait() int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		require.FailNow(r.t, "the command does not end")
	}
	return r.status
}

// say writes to the standard input.
func (r *testRun) say(text string) {
	r.t.Helper()
	defer time.AfterFunc(patience, func() { _ = r.stdin.CloseWithError(errors.New("nobody reads the input")) }).Stop()
	_, err := io.WriteString(r.stdin, text)
	require.NoError(r.t, err)
}

// runToEnd runs the command with input and returns what it did.
func runToEnd(t testing.TB, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status = run(ctx, ctx, args, strings.NewReader(input), &out, &errs)
	assert.NoError(t, ctx.Err(), "the command does not end by itself")
	return status, out.String(), errs.String()
}

// patience is how long a test waits for what is wanted before it fails and
// tells what came instead.
const patience = 20 * time.Second

// receive returns the next message.
func receive(t testing.TB, conn *chatroom.Conn) chatroom.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := conn.Receive(ctx)
	require.NoError(t, err)
	return m
}

// A watched is a buffer that can be waited for, and can be stuck.
type watched struct {
	t       testing.TB
	mu      sync.Mutex
	changed sync.Cond
	text    []byte
	stuck   bool
}

func newWatched(t testing.TB) *watched {
	w := &watched{t: t}
	w.changed.L = &w.mu
	return w
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stuck {
		w.changed.Wait()
	}
	w.text = append(w.text, p...)
	w.changed.Broadcast()
	return len(p), nil
}

// stick makes writes block until free or the end of the test.
func (w *watched) stick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = true
	w.t.Cleanup(w.free)
}

func (w *watched) free() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = false
	w.changed.Broadcast()
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

// await returns the first line that contains text, once it is there.
func (w *watched) await(text string) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	late := false
	defer time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.changed.Broadcast()
	}).Stop()
	for {
		lines := bufio.NewScanner(bytes.NewReader(w.text))
		lines.Buffer(nil, 1<<30)
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return lines.Text()
			}
		}
		if late {
			w.t.Fatalf("no line with %q came; what came: %.2000q", text, w.text)
		}
		w.changed.Wait()
	}
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"", "serve", "join", "cluster"} {
		t.Run("chatroom "+command, func(t *testing.T) {
			args := strings.Fields(command + " -h")
			status, stdout, stderr := runToEnd(t, "", args...)
			assert.Equal(t, 0, status)
			assert.Empty(t, stderr)
			lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
			assert.LessOrEqual(t, len(lines), 24, "lines")
			for _, line := range lines {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, "columns of %q", line)
			}

			status, again, _ := runToEnd(t, "", strings.Fields("help "+command)...)
			assert.Equal(t, 0, status)
			assert.Equal(t, stdout, again)
		})
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		status int
		stderr string // a part
	}{
		{"unknown command", []string{"bogus"}, 2, `unknown command "bogus" (see "chatroom -h")`},
		{"unknown topic", []string{"help", "bogus"}, 2, `unknown command "bogus"`},
		{"unknown flag", []string{"-x"}, 2, `-x (see "chatroom -h")`},
		{"unknown flag of serve", []string{"serve", "-x"}, 2, `-x (see "chatroom serve -h")`},
		{"argument of serve", []string{"serve", ":0"}, 2, `unexpected argument ":0"`},
		{"two arguments of join", []string{"join", ":1", ":2"}, 2, `unexpected argument ":2"`},
		{"host without port", []string{"join", "localhost"}, 2, `address "localhost": missing port`},
		{"listen without port", []string{"serve", "-addr", "localhost"}, 2, `address "localhost": missing port`},
		{"TLS without files", []string{"serve", "-addr", "tls::0"}, 2, "needs -cert and -key"},
		{"files without TLS", []string{"-cert", "c", "-key", "k"}, 2, "need a tls: address"},
		{"authorities without TLS", []string{"join", "-ca", "f"}, 2, "need a tls: address"},
		{"no certificate", []string{"serve", "-addr", "tls::0", "-cert", "gone", "-key", "gone"}, 1, "load certificate: open gone: "},
		{"no authorities", []string{"join", "-ca", "gone", "tls:127.0.0.1:1"}, 1, "load authorities: open gone: "},
		{"no such socket", []string{"join", "unix:gone/socket"}, 1, `nobody serves at unix:gone/socket; start a room there with "chatroom serve -addr unix:gone/socket"`},
		{"empty name", []string{"join", "-name", ""}, 2, `name "": empty (see "chatroom join -h")`},
		{"empty name of the host's", []string{"-name="}, 2, `name "": empty (see "chatroom -h")`},
		{"reconnecting host", []string{"-reconnect"}, 2, "it is for chatroom join"},
		{"cluster of the host's", []string{"-cluster", "nats://a"}, 2, "it is for chatroom serve"},
		{"other engine", []string{"serve", "-cluster", "http://a"}, 2, "want nats://HOST[:PORT] or tls://HOST[:PORT]"},
		{"no engine", []string{"serve", "-cluster", "nats://a,"}, 2, "want nats://HOST[:PORT] or tls://HOST[:PORT]"},
		{"name of no cluster", []string{"serve", "-cluster-name", "a"}, 2, "-cluster-name needs -cluster"},
		{"replicas without cluster", []string{"serve", "-replicas", "3"}, 2, "-replicas needs -cluster"},
		{"outage without cluster", []string{"serve", "-outage", "1m"}, 2, "-outage needs -cluster"},
		{"bad name of a cluster", []string{"serve", "-cluster", "a", "-cluster-name", "a.b"}, 2, `-cluster-name "a.b": want 1 to 64 letters`},
		{"too many replicas", []string{"serve", "-cluster", "a", "-replicas", "6"}, 2, "-replicas 6: want 1 to 5"},
		{"no replica", []string{"serve", "-cluster", "a", "-replicas", "0"}, 2, "-replicas 0: want 1 to 5"},
		{"short outage", []string{"serve", "-cluster", "a", "-outage", "14s"}, 2, "-outage 14s: want 0, for no end of it, or 15s or more"},
		{"negative outage", []string{"serve", "-cluster", "a", "-outage", "-1s"}, 2, "-outage -1s: want 0"},
		{"nobody's cluster", []string{"serve", "-addr", "127.0.0.1:0", "-cluster", "nats://u:secret@127.0.0.1:1,127.0.0.1:2"}, 1,
			`nobody answers at nats://u:xxxxx@127.0.0.1:1,nats://127.0.0.1:2; start NATS there with "nats-server -js"`},
		{"certificate of a demonstration", []string{"cluster", "-addr", "tls::0"}, 2, "has no certificate"},
		{"more pages than servers", []string{"cluster", "-addr", ":1", "-web", ":2", "-web", ":3"}, 2, "there are 2 addresses for browsers and 1 servers"},
		{"bad rate", []string{"serve", "-rate", "5,"}, 2, "want N or N,BURST"},
		{"negative history", []string{"serve", "-history", "-1"}, 2, "-history -1: want 0, for none, or more"},
		{"negative room", []string{"serve", "-max=-1"}, 2, "-max -1: want 0, for no limit, or more"},
		{"debugging without port", []string{"serve", "-debug-addr", "localhost"}, 2, `-debug-addr: address "localhost": missing port`},
		{"debugging over TLS", []string{"serve", "-debug-addr", "tls::0"}, 2, "cannot be a tls: address"},
		{"bad room", []string{"join", "-room", "a@b"}, 2, "a room's name has no @"},
		{"nowhere to listen", []string{"serve", "-addr", "unix:gone/socket"}, 1, "listen unix gone/socket: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := runToEnd(t, "", tt.args...)
			assert.Equal(t, tt.status, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, tt.stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "lines")
			assert.Regexp(t, `^chatroom: [^\n]+\n$`, stderr)
			assert.Equal(t, 1, strings.Count(stderr, "chatroom: "), "prefixes")
		})
	}
}

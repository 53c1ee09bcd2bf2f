package browsertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A process is a program with lines for its input and its output.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner // of its output, and of its errors
}

// startProcess runs a program until it ends or the test does.
func startProcess(t testing.TB, name string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	p := &process{t: t, cmd: exec.CommandContext(ctx, name, args...)}
	out, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.lines = bufio.NewScanner(out)
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(p.cmd.Wait())
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		go func() { _, _ = io.Copy(io.Discard, out) }()
		<-ended
		cancel()
	})
	return p
}

// startPython runs the tutorials' client, or skips the test if there is no Python.
func startPython(t testing.TB, host, port, name string) *process {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	return startProcess(t, python, "../../../testdata/client.py", host, port, name)
}

func (p *process) say(text string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, text)
	require.NoError(p.t, err)
}

// line returns the next line that has text in it.
func (p *process) line(text string) string {
	p.t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), text) {
			return p.lines.Text()
		}
	}
	require.FailNow(p.t, "it has ended before a line with "+text, "%v", p.lines.Err())
	return ""
}

// testProgram has the program host, a browser open the address that it tells, the program
// join in a terminal, and the tutorials' client.
func testProgram(t *testing.T, b *browser) {
	program := filepath.Join(t.TempDir(), "chatroom")
	out, err := exec.Command("go", "build", "-C", "../../../cmd/chatroom", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	server := startProcess(t, program, "serve", "-addr", "127.0.0.1:0", "-web", "127.0.0.1:0")
	address := make(map[string]string) // by what it is for
	for range 2 {
		line := server.line("msg=")
		_, url, isWeb := strings.Cut(line, " url=")
		_, tcp, isTCP := strings.Cut(line, " addr=")
		require.NotEqual(t, isWeb, isTCP, line)
		if isWeb {
			address["web"] = url
		} else {
			address["tcp"] = tcp
		}
	}
	host, port, _ := strings.Cut(address["tcp"], ":")
	terminal := startProcess(t, program, "join", "-name", "bob", address["tcp"])
	server.line("msg=joined id=1 name=bob")
	client := startPython(t, host, port, "pyt")
	server.line("msg=joined id=2 name=pyt")
	page := newTab(t, b, address["web"])
	page.join("alice")
	server.line("msg=joined id=3 name=alice")

	page.want(`!document.getElementById("send").disabled`)
	page.say("hello from a browser")
	assert.Equal(t, "alice > hello from a browser", terminal.line("alice"))
	assert.Equal(t, "alice > hello from a browser", client.line("alice"))
	terminal.say("hello from a terminal")
	page.wantLast("bob", "hello from a terminal")
	assert.Equal(t, "bob > hello from a terminal", client.line("bob"))
	client.say("hello from Python")
	page.wantLast("pyt", "hello from Python")
	assert.Equal(t, "pyt > hello from Python", terminal.line("pyt"))
}

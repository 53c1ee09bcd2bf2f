package chatroomtest_test

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

// A server in the tutorials' style, which reads with one blocking recv, keeps
// nothing of what is cut and waits for everybody, passes what does not ask for
// better.
func TestServerSuiteOnPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("needs Python: %v", err)
	}
	// What is on the path may be a script that looks for it, which takes long.
	path, err := exec.Command(python, "-c", "import sys; print(sys.executable)").Output()
	require.NoError(t, err)
	python = strings.TrimSpace(string(path))
	t.Parallel() // processes take a while to start
	opts := []chatroomtest.SuiteOption{
		chatroomtest.SkipCase("split", "it takes what has not come by one recv not to come"),
		chatroomtest.SkipCase("half-frame", "it takes half a message for a message"),
		chatroomtest.SkipCase("large", "it takes what does not fit a segment for a message"),
		chatroomtest.SkipCase("slow-reader", "its messages do not fit a segment, and it waits for everybody"),
		chatroomtest.SkipCase("silent", "it waits for each name"),
		chatroomtest.SkipCase("headers-rewritten", "it passes headers on as they come"),
		chatroomtest.SkipCase("huge-header", "it has no limit"),
		chatroomtest.WithHangTimeout(time.Minute), // a process on a busy machine
	}
	for _, part := range []string{
		"a-plus-sign", "minus-zero", "an-underscore", "a-vertical-tab", "a-form-feed", "arabic-indic-digit-five", "full-width-digit-five",
	} {
		opts = append(opts,
			chatroomtest.SkipCase("headers-rejected/"+part, "Python's int takes it"),
			chatroomtest.SkipCase("bad-header-harms-nobody/"+part, "it waits for what the header announces to Python's int"))
	}
	chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
		cmd := exec.Command(python, "-X", "utf8", filepath.Join("..", "testdata", "server.py"), "127.0.0.1", "0")
		stdout, err := cmd.StdoutPipe()
		require.NoError(tb, err)
		require.NoError(tb, cmd.Start())
		lines := bufio.NewReader(stdout)
		address, err := lines.ReadString('\n')
		drained := make(chan struct{})
		go func() { // ends with the process
			defer close(drained)
			_, _ = io.Copy(io.Discard, lines)
		}()
		tb.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-drained
			_ = cmd.Wait() // killed, it fails
		})
		require.NoError(tb, err)
		return func() (net.Conn, error) { return net.Dial("tcp", strings.TrimSpace(address)) }
	}, opts...)
}

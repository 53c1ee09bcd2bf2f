package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// newPTY returns a terminal and the end of it where the user would be.
func newPTY(t testing.TB) (user, terminal *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals: %v", err)
	}
	t.Cleanup(func() { _ = user.Close() }) // the test may have closed it
	conn, err := user.SyscallConn()        // Fd would make it one that Close does not unblock
	require.NoError(t, err)
	var number int
	require.NoError(t, conn.Control(func(fd uintptr) {
		require.NoError(t, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		require.NoError(t, err)
	}))
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = terminal.Close() })
	return user, terminal
}

// resize makes the terminal so many columns wide, and tells the program.
func resize(t testing.TB, terminal *os.File, width uint16) {
	t.Helper()
	size := &unix.Winsize{Row: 24, Col: width}
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size))
	require.NoError(t, unix.Kill(os.Getpid(), unix.SIGWINCH)) // the terminal is not the test's own
}

// TestTTY shows a greeting on a terminal, which it gives back as it was.
func TestTTY(t *testing.T) {
	user, terminal := newPTY(t)
	before, err := term.GetState(int(terminal.Fd()))
	require.NoError(t, err)
	shown := newWatched(t)
	go func() { _, _ = io.Copy(shown, user) }() // ends with user
	conn, _ := newTestMember(t)
	ended := make(chan error, 1)
	go func() { ended <- newTTY(terminal, terminal, "alice", nil).run(t.Context(), conn, "welcome") }()
	shown.await("* welcome")
	_, err = user.WriteString("half a line\x03")
	require.NoError(t, err)
	assert.NoError(t, <-ended)
	shown.await("half a line")
	assert.Eventually(t, func() bool { return strings.HasSuffix(shown.String(), "\r\n") }, patience, time.Millisecond)
	after, err := term.GetState(int(terminal.Fd()))
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// TestTTYPaste pastes on a terminal that tells of pastes, as it is asked to.
func TestTTYPaste(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	user, terminal := newPTY(t)
	resize(t, terminal, 80)
	shown := newWatched(t)
	go func() { _, _ = io.Copy(shown, user) }() // ends with user
	conn, srv := newTestMember(t)
	ended := make(chan error, 1)
	go func() { ended <- newTTY(terminal, terminal, "alice", nil).run(t.Context(), conn) }()
	shown.await("alice > ")
	assert.Contains(t, shown.String(), tellPastes)
	_, err := user.WriteString("語\x1b[200~one\ttwo\x1b[201~" + family + "x\x7f\x7f")
	require.NoError(t, err)
	shown.await(`alice > 語one\ttwo` + keepCursor)
	require.NoError(t, srv.Broadcast(context.Background(), "bob", []byte("hello")))
	shown.await("bob > hello")
	_, err = user.WriteString("\r\x04")
	require.NoError(t, err)
	assert.NoError(t, <-ended)
	assert.EqualValues(t, 2, srv.Stats().Messages)
	assert.Eventually(t, func() bool { return strings.HasSuffix(shown.String(), noPastes+"\r\n") }, patience, time.Millisecond)
}

// TestTTYNarrow makes the window narrow while somebody types.
func TestTTYNarrow(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	user, terminal := newPTY(t)
	resize(t, terminal, 80)
	shown := newWatched(t)
	go func() { _, _ = io.Copy(shown, user) }() // ends with user
	conn, srv := newTestMember(t)
	ended := make(chan error, 1)
	go func() { ended <- newTTY(terminal, terminal, "alice", nil).run(t.Context(), conn) }()
	shown.await("alice > ")
	_, err := user.WriteString("語語語" + family + "語語")
	require.NoError(t, err)
	shown.await("alice > 語語語" + family + "語語" + keepCursor)
	resize(t, terminal, 10)
	shown.await(clipLine + "> …" + family + "語語" + keepCursor)
	require.NoError(t, srv.Broadcast(context.Background(), "bob", []byte("hello")))
	assert.Contains(t, shown.await("bob > "), "bob > hell")
	shown.await("  | o")
	_, err = user.WriteString("\x03")
	require.NoError(t, err)
	assert.NoError(t, <-ended)
}

// TestStuckTTY leaves while the terminal takes nothing of what there is to show.
func TestStuckTTY(t *testing.T) {
	user, terminal := newPTY(t)
	before, err := term.GetState(int(terminal.Fd()))
	require.NoError(t, err)
	resize(t, terminal, 80)
	conn, _ := newTestMember(t)
	tty := newTTY(terminal, terminal, "alice", nil)
	log := startLog(tty)
	defer log.end()
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	greeting := strings.Repeat("x", 2*maxUnshown)
	go func() { ended <- tty.run(ctx, conn, greeting, greeting) }()
	_, err = io.ReadFull(user, make([]byte, 1<<10)) // and nothing after that
	require.NoError(t, err)
	fmt.Fprintln(log, greeting)
	resize(t, terminal, 40)
	leave()
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(patience):
		assert.Fail(t, "the conversation does not end")
	}
	after, err := term.GetState(int(terminal.Fd()))
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

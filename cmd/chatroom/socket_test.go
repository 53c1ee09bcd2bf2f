package main

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// socketPath returns a path that is short enough for a Unix socket, which the
// test's own temporary directory need not be.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "room")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "s")
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	crashed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	crashed.SetUnlinkOnClose(false)
	require.NoError(t, crashed.Close())
	require.FileExists(t, path)

	l, err := listenSocket(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.NoFileExists(t, path)
}

func TestSocketInUseIsNotReplaced(t *testing.T) {
	path := socketPath(t)
	l, err := listenSocket(t.Context(), path)
	require.NoError(t, err)
	defer l.Close()

	_, err = listenSocket(t.Context(), path)
	assert.ErrorIs(t, err, errAddrInUse)
	assert.FileExists(t, path)
}

func TestFileIsNotReplaced(t *testing.T) {
	path := socketPath(t)
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := listenSocket(t.Context(), path)
	assert.ErrorIs(t, err, errAddrInUse)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(got))
}

// TestSocketOfOthersIsNotRemoved takes the socket file away from a server, and
// has another listen at the same path.
func TestSocketOfOthersIsNotRemoved(t *testing.T) {
	path := socketPath(t)
	first, addr := startServer(t, "unix:"+path)
	require.NoError(t, os.Remove(path))
	second, _ := startServer(t, addr)
	first.leave()
	assert.Equal(t, 0, first.wait())
	assert.FileExists(t, path)

	status, _, stderr := runToEnd(t, "hello\n", "join", "-name", "a", addr)
	assert.Equal(t, 0, status, stderr)
	second.stderr.await("text=hello")
	second.leave()
	assert.Equal(t, 0, second.wait())
	assert.NoFileExists(t, path)
}

func TestSocketMayBeGone(t *testing.T) {
	path := socketPath(t)
	l, err := listenSocket(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	assert.NoError(t, l.Close())
}

func TestSocketClosedTwice(t *testing.T) {
	path := socketPath(t)
	first, err := listenSocket(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, first.Close())
	second, err := listenSocket(t.Context(), path) // its file may have the number of the first
	require.NoError(t, err)
	defer second.Close()
	assert.ErrorIs(t, first.Close(), net.ErrClosed)
	assert.FileExists(t, path)
}

// A socket without a file may have the name of a file.
func TestAbstractSocketRemovesNoFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux has them")
	}
	t.Chdir(filepath.Dir(socketPath(t)))
	l, err := listenSocket(t.Context(), "@"+t.TempDir())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	l, err = listenSocket(t.Context(), "./@s")
	require.NoError(t, err)
	defer l.Close()
	abstract, err := listenSocket(t.Context(), "@s")
	require.NoError(t, err)
	require.NoError(t, abstract.Close())
	assert.FileExists(t, "@s")
}

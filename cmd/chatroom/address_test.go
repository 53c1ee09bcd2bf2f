package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		want address
	}{
		{"127.0.0.1:4321", address{"tcp", "127.0.0.1:4321", false}},
		{":0", address{"tcp", ":0", false}},
		{"[::1]:80", address{"tcp", "[::1]:80", false}},
		{"localhost:chat", address{"tcp", "localhost:chat", false}},
		{"tls:example.com:443", address{"tcp", "example.com:443", true}},
		{"unix:/run/room", address{"unix", "/run/room", false}},
		{"unix:a:b", address{"unix", "a:b", false}},
	}
	for _, tt := range tests {
		got, err := parseAddress(tt.in)
		require.NoError(t, err, tt.in)
		assert.Equal(t, tt.want, got, tt.in)
		assert.Equal(t, tt.in, got.String())
	}
	for _, bad := range []string{"", "localhost", "localhost:", "::1", "[::1]", "unix:", "tls:", "tls:host", "a:b:c"} {
		_, err := parseAddress(bad)
		assert.ErrorContains(t, err, "address", bad)
	}
}

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

	l, err := address{network: "unix", addr: path}.listen(nil)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.NoFileExists(t, path)
}

func TestSocketInUseIsNotReplaced(t *testing.T) {
	a := address{network: "unix", addr: socketPath(t)}
	l, err := a.listen(nil)
	require.NoError(t, err)
	defer l.Close()

	_, err = a.listen(nil)
	assert.ErrorIs(t, err, errAddrInUse)
	assert.FileExists(t, a.addr)
}

func TestFileIsNotReplaced(t *testing.T) {
	a := address{network: "unix", addr: socketPath(t)}
	require.NoError(t, os.WriteFile(a.addr, []byte("precious"), 0o600))
	_, err := a.listen(nil)
	assert.ErrorIs(t, err, errAddrInUse)
	got, err := os.ReadFile(a.addr)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(got))
}

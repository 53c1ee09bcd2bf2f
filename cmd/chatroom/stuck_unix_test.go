//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStuckCertificate has certificates come from a pipe that nobody writes to.
func TestStuckCertificate(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "-addr", "tls:127.0.0.1:0", "-key", "k", "-cert"},
		{"-addr", "tls:127.0.0.1:0", "-name", "a", "-key", "k", "-cert"},
		{"join", "tls:127.0.0.1:1", "-ca"},
	} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
		r := startRun(t, append(args, pipe)...)
		t.Cleanup(func() { endReader(t, pipe) })
		r.leave()
		assert.Equal(t, 1, r.wait(), args)
		assert.Empty(t, r.stderr.String(), args)
	}
}

// endReader has the program that reads the pipe, or is about to, find its end.
func endReader(t testing.TB, pipe string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		w, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails while nobody reads it
		if err == nil {
			require.NoError(t, w.Close())
			return
		}
		require.True(t, time.Now().Before(deadline), "nobody reads the pipe: %v", err)
	}
}

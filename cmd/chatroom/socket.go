package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// probeTimeout is how long a server may take to answer on a Unix socket.
const probeTimeout = time.Second

// A socketListener listens on a Unix socket. When it is closed, it removes the
// socket file, if that is still its own. By then, somebody may have removed the
// file, and another server may listen at the same path.
type socketListener struct {
	*net.UnixListener
	path   string
	file   fs.FileInfo // nil if there was none
	remove sync.Once
}

// listenSocket listens on the Unix socket at path. It replaces a socket file
// that a crashed server left there.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if errors.Is(err, errAddrInUse) && hasFile(path) && removeStale(path) == nil {
		l, err = config.Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, err
	}
	s := &socketListener{UnixListener: l.(*net.UnixListener), path: path}
	s.SetUnlinkOnClose(false)
	if hasFile(path) {
		s.file, _ = os.Lstat(path) // somebody may have removed it already
	}
	return s, nil
}

// Close removes the socket file before it stops listening. So nobody finds a
// file that nobody listens on. Also, while the socket is open, the system gives
// its file's number to no other file, which Close could take for its own.
func (s *socketListener) Close() error {
	s.remove.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && s.file != nil && os.SameFile(now, s.file) {
			_ = os.Remove(s.path) // whoever listens there next removes what is left
		}
	})
	return s.UnixListener.Close()
}

// hasFile reports whether a socket at path is a file. Linux also has sockets
// that are none: their names begin with '@', and a file may have the same name
// by chance.
func hasFile(path string) bool { return path[0] != '@' }

// removeStale removes the socket file at path if no server answers there,
// because one that crashed left it. If two servers start on the same stale file
// at the same moment, both may remove it, and the one that listens last has it.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s: not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		_ = c.Close() // it was only to see whether somebody answers
		return fmt.Errorf("%s: in use", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

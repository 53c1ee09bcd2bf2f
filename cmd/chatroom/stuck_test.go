package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// The tests of this file have the program's files block, as a pipe does that
// nobody reads, and end it as signals do.

// TestStuckStderr has nobody read the log of a server. The room goes on, and
// ends, and the log is whole once somebody reads it.
func TestStuckStderr(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	follower := startFollower(t, server, "f", addr)
	server.stderr.stick()
	status, _, _ := runToEnd(t, numbers(1000), "join", "-name", "a", addr)
	assert.Equal(t, 0, status)
	follower.stdout.await("a > 999")

	server.leave()
	assert.Equal(t, 0, follower.wait())
	assert.Equal(t, 0, server.wait())
	assert.NotContains(t, server.stderr.String(), "name=a")
	server.stderr.free()
	server.stderr.await("msg=left id=1 name=f")
	var said strings.Builder
	for line := range strings.Lines(server.stderr.String()) {
		if _, text, ok := strings.Cut(line, " text="); ok {
			number, _, _ := strings.Cut(text, " ")
			said.WriteString(number + "\n")
		}
	}
	assert.Equal(t, numbers(1000), said.String())
	server.stderr.await("shutting down")
}

// A slowCloser is a connection that takes its time to be closed, as TLS does that
// cannot say goodbye.
type slowCloser struct {
	net.Conn
	closed chan struct{}
}

func (c *slowCloser) Close() error {
	<-c.closed
	return c.Conn.Close()
}

// TestStuckConnection ends a server at once, and after shutdownTimeout, that has a
// connection which cannot be closed.
func TestStuckConnection(t *testing.T) {
	for _, atOnce := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			srv := chatroom.NewServer()
			ours, theirs := net.Pipe()
			slow := &slowCloser{theirs, make(chan struct{})}
			go func() { _ = srv.ServeConn(context.Background(), slow) }()
			conn, err := chatroom.NewConn(t.Context(), ours, "a")
			require.NoError(t, err)
			synctest.Wait()

			now, quit := context.WithCancel(t.Context())
			defer quit()
			want := shutdownTimeout + endTimeout
			if atOnce {
				quit()
				want = endTimeout
			}
			began := time.Now()
			assert.Error(t, shutdown(now, srv))
			assert.Equal(t, want, time.Since(began))
			close(slow.closed)
			assert.NoError(t, conn.Close())
			assert.NoError(t, srv.Shutdown(t.Context()))
		})
	}
}

// TestStuckStderrAndMember ends a server at once that waits for a member which
// takes nothing of what it is owed.
func TestStuckStderrAndMember(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	stuck, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer stuck.Close()
	_, err = stuck.Write(chatroom.AppendFrame(nil, []byte("stuck")))
	require.NoError(t, err)
	server.stderr.await("name=stuck")
	server.stderr.stick()
	line := strings.Repeat("x", maxLine)
	runToEnd(t, strings.Repeat(line+"\n", 12), "join", addr, "-name", "a") // more than sockets hold
	server.leave()
	server.quit()
	assert.Equal(t, 1, server.wait())
}

// TestStuckHost has a host whose output nobody reads, of either kind.
func TestStuckHost(t *testing.T) {
	path := socketPath(t)
	host := startRun(t, "-addr", "unix:"+path, "-name", "host")
	host.stdout.stick()
	host.stderr.stick()
	var member net.Conn
	for deadline := time.Now().Add(patience); member == nil; { // in a pipe the host does not say when it listens
		require.True(t, time.Now().Before(deadline), "the host does not listen")
		member, _ = net.Dial("unix", path)
	}
	defer member.Close()
	_, err := member.Write(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("a")), []byte("hello")))
	require.NoError(t, err)
	for range 3 { // each is a warning
		refused, err := chatroom.Dial(t.Context(), "unix", path, "bad\x1bname")
		require.NoError(t, err)
		_, err = refused.Receive(t.Context())
		assert.Error(t, err)
		assert.NoError(t, refused.Close())
	}
	host.leave()
	assert.Equal(t, 0, host.wait())
}

func TestStuckHelp(t *testing.T) {
	stdout := newWatched(t)
	stdout.stick()
	r := startRunTo(t, stdout, "-h")
	t.Cleanup(func() {
		stdout.free() // before the test waits for the run to end
		stdout.await("Usage")
	})
	r.leave()
	assert.Equal(t, 1, r.wait())
}

// TestStuckGoodbye leaves a server that neither stops talking nor hangs up.
func TestStuckGoodbye(t *testing.T) {
	certFile, keyFile := writeCertificate(t, "room.test")
	config, err := serverTLS(certFile, keyFile)
	require.NoError(t, err)
	for _, tt := range []struct {
		name  string
		addr  address
		flags []string
	}{
		{"TCP", address{network: "tcp", addr: "127.0.0.1:0"}, nil},
		{"TLS", address{network: "tcp", addr: "127.0.0.1:0", tls: true}, []string{"-ca", certFile, "-servername", "room.test"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tt.addr.listen(t.Context(), config)
			require.NoError(t, err)
			defer l.Close()
			hungUp := make(chan struct{})
			go func() {
				defer close(hungUp)
				nc, err := l.Accept()
				if !assert.NoError(t, err) {
					return
				}
				defer nc.Close()
				message := chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("b")), []byte("hello"))
				for {
					if _, err := nc.Write(message); err != nil {
						return
					}
					time.Sleep(10 * time.Millisecond) // the other end does not wait for more
				}
			}()
			tt.addr.addr = l.Addr().String()
			r := startRun(t, append([]string{"join", "-name", "a", tt.addr.String()}, tt.flags...)...)
			r.stdout.await("b > hello")
			began := time.Now()
			r.leave()
			r.quit()
			assert.Equal(t, 0, r.wait())
			<-hungUp
			assert.Less(t, time.Since(began), 3*time.Second, "a goodbye takes 5 s")
		})
	}
}

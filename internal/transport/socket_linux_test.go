package transport_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/transport"
)

// tcpNotSentLowat is TCP_NOTSENT_LOWAT of linux/tcp.h, which package syscall does
// not have.
const tcpNotSentLowat = 25

func socketOption(t *testing.T, nc net.Conn, level, option int) int {
	t.Helper()
	raw, err := nc.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	value := 0
	require.NoError(t, raw.Control(func(fd uintptr) {
		value, err = syscall.GetsockoptInt(int(fd), level, option)
	}))
	require.NoError(t, err)
	return value
}

// What a socket holds that is not sent is bounded, also below a layer.
func TestUnsentIsLimited(t *testing.T) {
	for _, name := range []string{"bare", "tls"} {
		server, client := newSockets(t, "tcp")
		nc, _ := wraps[name](t, server, client)
		transport.New(nc, time.Minute)
		assert.Equal(t, 128<<10, socketOption(t, server, syscall.IPPROTO_TCP, tcpNotSentLowat), name)
	}
	server, _ := newSockets(t, "unix")
	transport.New(server, time.Minute)
	assert.Equal(t, 2*32<<10, socketOption(t, server, syscall.SOL_SOCKET, syscall.SO_SNDBUF), "the system adds as much for itself")
}

func TestUnixpacketIsNotPolled(t *testing.T) {
	server, client := newSockets(t, "unixpacket")
	c := transport.New(server, time.Minute)
	assertKind(t, "stream", c)
	_, err := c.Write(runs("hello"))
	require.NoError(t, err)
	p := make([]byte, 10)
	n, err := client.Read(p)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(p[:n]))
}

// Nothing is left in the system of a connection that was abandoned.
func TestAbandonLeavesNoOrphan(t *testing.T) {
	for _, abandoned := range []bool{true, false} {
		server, client := newSockets(t, "tcp")
		c := transport.New(server, time.Minute)
		fill(t, c)
		if abandoned {
			c.Abandon()
		} else {
			c.Close()
		}
		assert.Equal(t, !abandoned, hasSocket(t, server.LocalAddr(), client.LocalAddr()), "abandoned: %v", abandoned)
	}
}

// hasSocket reports whether the system has a connection from one address to
// another.
func hasSocket(t *testing.T, from, to net.Addr) bool {
	t.Helper()
	f, err := os.Open("/proc/self/net/tcp")
	require.NoError(t, err)
	defer f.Close()
	hexPort := func(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if strings.HasSuffix(fields[1], hexPort(from)) && strings.HasSuffix(fields[2], hexPort(to)) {
			return true
		}
	}
	require.NoError(t, lines.Err())
	return false
}

// vanish has nc's socket drop all that comes, so that its peer gets no answer.
func vanish(t *testing.T, nc net.Conn) {
	t.Helper()
	drop := syscall.SockFilter{Code: syscall.BPF_RET | syscall.BPF_K}
	raw, err := nc.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		err = syscall.AttachLsf(int(fd), []syscall.SockFilter{drop}) //nolint:staticcheck // x/net/bpf makes filters, and attaches none
	}))
	require.NoError(t, err)
}

// A peer that has vanished is found when it should have answered for the write
// timeout, and one that does not read is not taken for one.
func TestCheck(t *testing.T) {
	t.Parallel()
	const timeout = 150 * time.Millisecond
	for _, name := range []string{"bare", "tls"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := newSockets(t, "tcp")
			nc, _ := wraps[name](t, server, client)
			c := transport.New(nc, timeout)
			defer c.Abandon()
			_, err := c.Write(runs("hello"))
			require.NoError(t, err)
			time.Sleep(timeout + timeout/5)
			require.NoError(t, c.CheckPeer(), "it has answered")
			vanish(t, client)
			_, err = c.Write(runs("hello"))
			require.NoError(t, err)
			start := time.Now()
			for err = nil; err == nil && time.Since(start) < 20*time.Second; time.Sleep(timeout / 10) {
				err = c.CheckPeer()
			}
			require.ErrorIs(t, err, transport.ErrStalled)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		})
	}
	t.Run("does not read", func(t *testing.T) {
		t.Parallel()
		server, _ := newSockets(t, "tcp")
		c := transport.New(server, timeout)
		fill(t, c)
		for range 10 {
			time.Sleep(timeout / 5)
			require.NoError(t, c.CheckPeer())
		}
		c.Abandon()
		require.NoError(t, c.CheckPeer(), "it is closed")
	})
	t.Run("without a timeout", func(t *testing.T) {
		server, _ := newSockets(t, "tcp")
		require.NoError(t, transport.New(server, 0).CheckPeer())
	})
	t.Run("elsewhere", func(t *testing.T) {
		server, _ := newSockets(t, "unix")
		require.NoError(t, transport.New(server, timeout).CheckPeer())
		near, _ := newPipe(t)
		require.NoError(t, transport.New(near, timeout).CheckPeer())
		require.NoError(t, transport.New(fakeLayer{near}, timeout).CheckPeer())
		require.NoError(t, transport.New(newMemSocket(), timeout).CheckPeer())
	})
}

// Who has been quiet for long has not vanished because a message is on its way.
func TestCheckDuringAMessage(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	server, client := newSockets(t, "tcp")
	c := transport.New(server, timeout)
	defer c.Abandon()
	time.Sleep(timeout + timeout/10)
	vanish(t, client)
	_, err := c.Write(runs("hello"))
	require.NoError(t, err)
	require.NoError(t, c.CheckPeer())
}

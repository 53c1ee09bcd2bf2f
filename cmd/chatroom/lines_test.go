package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// startServer hosts a room at addr and returns the address to join it at.
func startServer(t testing.TB, addr string, flags ...string) (server *testRun, joinAddr string) {
	t.Helper()
	server = startRun(t, append([]string{"serve", "-addr", addr}, flags...)...)
	_, actual, _ := strings.Cut(server.stderr.await("msg=listening"), " addr=")
	scheme := ""
	for _, s := range []string{"unix:", "tls:"} {
		if strings.HasPrefix(addr, s) {
			scheme = s
		}
	}
	return server, scheme + actual
}

// startFollower joins the room at addr as name, with the end of the input
// behind it, and returns when it is a member.
func startFollower(t testing.TB, server *testRun, name, addr string, flags ...string) *testRun {
	t.Helper()
	args := append([]string{"join", "-follow", "-name", name, addr}, flags...)
	follower := startRun(t, args...)
	require.NoError(t, follower.stdin.Close())
	server.stderr.await("msg=joined id=1 name=" + name)
	return follower
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// writeCertificate writes a new certificate for the DNS name, and its key, to
// files.
func writeCertificate(t testing.TB, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), file)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

// TestPipe sends a pipe of lines through a room over each transport, all of
// which arrive in order.
func TestPipe(t *testing.T) {
	certFile, keyFile := writeCertificate(t, "room.test")
	tests := []struct {
		name       string
		addr       string
		serveFlags []string
		joinFlags  []string
	}{
		{name: "TCP", addr: "127.0.0.1:0"},
		{name: "Unix", addr: "unix:" + socketPath(t)},
		{
			name:       "TLS",
			addr:       "tls:127.0.0.1:0",
			serveFlags: []string{"-cert", certFile, "-key", keyFile},
			joinFlags:  []string{"-ca", certFile, "-servername", "room.test"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server, addr := startServer(t, tt.addr, tt.serveFlags...)
			follower := startFollower(t, server, "f", addr, tt.joinFlags...)

			input := numbers(5000)
			status, stdout, stderr := runToEnd(t, input, append([]string{"join", "-name", "a", addr}, tt.joinFlags...)...)
			assert.Equal(t, 0, status)
			assert.Empty(t, stdout, "nobody else said anything")
			assert.Empty(t, stderr)

			server.stderr.await("msg=left id=2 name=a")
			server.leave()
			assert.Equal(t, 0, server.wait())
			assert.Equal(t, 0, follower.wait())
			want := "a > " + strings.ReplaceAll(strings.TrimSuffix(input, "\n"), "\n", "\na > ") + "\n"
			assert.Equal(t, want, follower.stdout.String())
			assert.Empty(t, follower.stderr.String())
			if path, ok := strings.CutPrefix(tt.addr, "unix:"); ok {
				assert.NoFileExists(t, path)
			}
		})
	}
}

func TestTLSVerifies(t *testing.T) {
	certFile, keyFile := writeCertificate(t, "room.test")
	_, addr := startServer(t, "tls:127.0.0.1:0", "-cert", certFile, "-key", keyFile)
	for _, flags := range [][]string{
		{"-servername", "room.test"},
		{"-ca", certFile},
		{"-ca", certFile, "-servername", "other.test"},
	} {
		status, _, stderr := runToEnd(t, "", append([]string{"join", addr}, flags...)...)
		assert.Equal(t, 1, status, flags)
		assert.Regexp(t, `^chatroom: tls: failed to verify certificate: [^\n]+\n$`, stderr)
	}
}

func TestLinesAreMessages(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	follower := startFollower(t, server, "f", addr)
	long := strings.Repeat("x", maxLine)
	status, _, stderr := runToEnd(t, "crlf\r\n\n"+long+"\r\n\x1b[2J\u2028\nlast", "join", addr, "-name", "a")
	assert.Equal(t, 0, status)
	assert.Empty(t, stderr)
	follower.stdout.await("last")
	assert.Equal(t, "a > crlf\na > \na > "+long+"\na > "+`\x1b[2J\u2028`+"\na > last\n", follower.stdout.String())
	assert.Contains(t, server.stderr.String(), `text="\x1b[2J\u2028"`)
}

func TestLineTooLong(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	follower := startFollower(t, server, "f", addr)
	input := "first\n" + strings.Repeat("x", maxLine+1) + "\nthird\n"
	status, _, stderr := runToEnd(t, input, "join", addr, "-name", "a")
	assert.Equal(t, 1, status)
	assert.Equal(t, "chatroom: input line 2: longer than 1048576 bytes\n", stderr)
	server.stderr.await("msg=left id=2 name=a")
	server.leave()
	follower.wait()
	assert.Equal(t, "a > first\n", follower.stdout.String())
}

func TestReadLine(t *testing.T) {
	in := bufio.NewReaderSize(strings.NewReader("a\r\n\r\nb\rc\nd\r"), 16)
	for _, want := range []string{"a", "", "b\rc", "d\r"} {
		got, err := readLine(in, nil)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	_, err := readLine(in, nil)
	assert.Equal(t, io.EOF, err)
}

// TestMessageIsOneLine has a client that is not this program send what would
// read as two messages.
func TestMessageIsOneLine(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	follower := startFollower(t, server, "f", addr)
	conn, err := chatroom.Dial(t.Context(), "tcp", addr, "mallory > x")
	require.NoError(t, err)
	require.NoError(t, conn.Send(t.Context(), []byte("hi\nbob > I agree\r")))
	require.NoError(t, conn.Close())
	assert.Equal(t, `mallory \x3e x > hi\nbob > I agree\r`, follower.stdout.await("hi"))
}

func TestServerGoes(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	a := startRun(t, "join", "-name", "a", addr)
	server.stderr.await("name=a")
	b := startRun(t, "join", "-name", "b", addr)
	server.stderr.await("name=b")
	b.say("hello\n")
	assert.Equal(t, "b > hello", a.stdout.await("b >"))
	server.leave()
	assert.Equal(t, 1, a.wait())
	assert.Equal(t, "chatroom: the server has closed the room\n", a.stderr.String())
	assert.Equal(t, 1, b.wait())
	assert.Contains(t, b.stderr.String(), "chatroom: the server has closed the room")
}

// What a peer sends as its name is quoted in the server's log.
func TestRefusedNameInLog(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	conn, err := chatroom.Dial(t.Context(), "tcp", addr, "bad\x1bname")
	require.NoError(t, err)
	defer conn.Close()
	assert.Contains(t, server.stderr.await("msg=refused"), `\\x1b`)
}

func TestUserLeaves(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0")
	r := startRun(t, "join", "-name", "a", addr)
	server.stderr.await("name=a")
	r.leave()
	assert.Equal(t, 0, r.wait())
	assert.Empty(t, r.stderr.String())
	assert.NotContains(t, server.stderr.await("msg=left"), "reason")
}

// brokenPipe fails as the standard output does whose reader has gone.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestOutputFails(t *testing.T) {
	for _, tt := range []struct {
		out    io.Writer
		stderr string
	}{
		{brokenPipe{}, ""},
		{fullDisk{}, "chatroom: disk full\n"},
	} {
		server, addr := startServer(t, "127.0.0.1:0")
		in, stdin := io.Pipe()
		stderr := newWatched(t)
		status := make(chan int, 1)
		go func() {
			status <- run(t.Context(), t.Context(), []string{"join", "-name", "a", addr}, in, tt.out, stderr)
		}()
		server.stderr.await("name=a")
		runToEnd(t, "hello\n", "join", addr, "-name", "b")
		select {
		case got := <-status:
			assert.Equal(t, 1, got)
		case <-time.After(patience):
			require.Fail(t, "the command does not end")
		}
		assert.Equal(t, tt.stderr, stderr.String())
		require.NoError(t, stdin.Close())
	}
}

// TestSecondSignal ends a server that waits for a member which takes nothing of
// what it is owed.
func TestSecondSignal(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0", "-quiet=false")
	stuck, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer stuck.Close()
	_, err = stuck.Write(chatroom.AppendFrame(nil, []byte("stuck")))
	require.NoError(t, err)
	server.stderr.await("name=stuck")
	line := strings.Repeat("x", maxLine)
	runToEnd(t, strings.Repeat(line+"\n", 12), "join", addr, "-name", "a") // more than sockets hold
	server.leave()
	server.stderr.await("shutting down")
	server.quit()
	assert.Equal(t, 1, server.wait())
	assert.Contains(t, server.stderr.String(), "chatroom: ended at once, ")
}

func TestServeTwoAddresses(t *testing.T) {
	path := socketPath(t)
	server := startRun(t, "serve", "-addr", "127.0.0.1:0", "-addr", "unix:"+path)
	server.stderr.await("addr=127.0.0.1:")
	server.stderr.await("addr=" + path)
	follower := startFollower(t, server, "f", "unix:"+path)
	_, addr, _ := strings.Cut(server.stderr.await("addr=127.0.0.1:"), "addr=")
	runToEnd(t, "hi\n", "join", "-name", "a", addr)
	assert.Equal(t, "a > hi", follower.stdout.await("hi"))
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	addr := l.Addr().String()

	status, _, stderr := runToEnd(t, "", "serve", "-addr", "127.0.0.1:0", "-addr", addr)
	assert.Equal(t, 1, status)
	want := fmt.Sprintf("chatroom: %s is in use: is another room running there? \"chatroom join %[1]s\" joins it, and -addr hosts elsewhere\n", addr)
	assert.Equal(t, want, stderr)

	status, _, stderr = runToEnd(t, "", "-addr", addr)
	assert.Equal(t, 1, status)
	assert.Equal(t, want, stderr)
}

// TestHost hosts and joins in one, with pipes for a terminal.
func TestHost(t *testing.T) {
	path := socketPath(t)
	host := startRun(t, "-addr", "unix:"+path, "-name", "host")
	var conn *chatroom.Conn
	for conn == nil { // in a pipe the host does not say when it listens
		select {
		case <-host.done:
			t.Fatal("the host has ended:", host.stderr)
		default:
			conn, _ = chatroom.Dial(t.Context(), "unix", path, "a")
		}
	}
	defer conn.Close()
	require.NoError(t, conn.Send(t.Context(), []byte("hello host")))
	assert.Equal(t, "a > hello host", host.stdout.await("hello"))
	host.say("hello a\nlast")
	require.NoError(t, host.stdin.Close())
	for _, want := range []string{"hello a", "last"} {
		m := receive(t, conn)
		assert.Equal(t, "host > "+want, m.From+" > "+string(m.Body))
	}
	_, err := conn.Receive(t.Context())
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, 0, host.wait())
	assert.NoFileExists(t, path)
}

// A name that servers refuse by default is a mistake in the command line.
func TestBadName(t *testing.T) {
	for _, args := range [][]string{
		{"-addr", "127.0.0.1:0", "-name", "bad\x1bname"},
		{"join", "-name", strings.Repeat("x", 65), "127.0.0.1:1"},
	} {
		status, stdout, stderr := runToEnd(t, "hi\n", args...)
		assert.Equal(t, 2, status)
		assert.Empty(t, stdout)
		assert.Regexp(t, `^chatroom: name "[^\n]+\n$`, stderr)
	}
}

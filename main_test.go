package chatroom_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

var inOrder = flag.Bool("order", false, "run all tests with an order that delivers immediately")

func TestMain(m *testing.M) {
	flag.Parse()
	if *inOrder {
		chatroom.SetDefaultOrder(func() chatroom.Order { return new(identityOrder) })
	}
	goleak.VerifyTestMain(m)
}

// A transport is something that chatroom runs over.
type transport struct {
	name   string
	resets bool // whether it can tell a reset from an end
	listen func(t testing.TB) (net.Listener, chatroomtest.DialFunc)
}

var transports = []transport{
	{"pipe", true, func(testing.TB) (net.Listener, chatroomtest.DialFunc) {
		l := chatroomtest.NewListener()
		return l, l.DialContext
	}},
	{"tcp", true, func(t testing.TB) (net.Listener, chatroomtest.DialFunc) {
		return listenTCP(t), new(net.Dialer).DialContext
	}},
	// The connections of the system's that hide behind another type are not read
	// when they are ready, nor swept.
	{"wrapped", true, func(t testing.TB) (net.Listener, chatroomtest.DialFunc) {
		return wrappingListener{listenTCP(t)}, new(net.Dialer).DialContext
	}},
	{"tls", true, func(t testing.TB) (net.Listener, chatroomtest.DialFunc) {
		server, client := tlsConfigs()
		return tls.NewListener(listenTCP(t), server), (&tls.Dialer{Config: client}).DialContext
	}},
	{"unix", false, func(t testing.TB) (net.Listener, chatroomtest.DialFunc) {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		require.NoError(t, err)
		return l, new(net.Dialer).DialContext
	}},
}

func transportNamed(name string) transport {
	return transports[slices.IndexFunc(transports, func(tr transport) bool { return tr.name == name })]
}

// A wrappingListener hides what its connections are.
type wrappingListener struct{ net.Listener }

func (l wrappingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return struct{ net.Conn }{nc}, err
}

// quiet is for how long a test listens where nobody can tell that nothing comes.
const quiet = 50 * time.Millisecond

// overTransports runs test once over each transport.
func overTransports(t *testing.T, test func(t *testing.T, tr transport)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) { test(t, tr) })
	}
}

func (tr transport) newServer(t testing.TB, opts ...chatroom.ServerOption) *chatroomtest.Server {
	t.Helper()
	l, dial := tr.listen(t)
	return chatroomtest.NewServerOn(t, l, dial, opts...)
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// tlsConfigs returns configurations of two ends that trust each other.
var tlsConfigs = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: pool}
})

// testContext returns a context that ends when the test must have hung.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for a value on ch.
func receive[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-testContext(t).Done():
		require.FailNow(t, "timed out waiting for "+what)
		panic("unreachable")
	}
}

// byteSize names a size in a benchmark.
func byteSize(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// newBareServer serves l without the harness.
func newBareServer(t testing.TB, l net.Listener, opts ...chatroom.ServerOption) *chatroom.Server {
	t.Helper()
	s := chatroom.NewServer(opts...)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		assert.NoError(t, s.Shutdown(testContext(t)))
		assert.ErrorIs(t, <-served, chatroom.ErrServerClosed)
	})
	return s
}

// joinBare connects to l as a member of that name, without the client.
func joinBare(t testing.TB, l net.Listener, name string) net.Conn {
	t.Helper()
	nc, err := new(net.Dialer).DialContext(context.Background(), l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	_, err = nc.Write(chatroom.AppendFrame(nil, []byte(name)))
	require.NoError(t, err)
	return nc
}

func waitForMembers(t testing.TB, s *chatroom.Server, n int) {
	t.Helper()
	for ctx := testContext(t); s.Stats().Members < n; {
		require.NoError(t, ctx.Err(), "not all have joined")
		runtime.Gosched()
	}
}

package chatroomtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

// A transport is something that the suites run over.
type transport struct {
	name   string
	bubble bool // whether it works inside a synctest bubble
	listen func(tb testing.TB) (net.Listener, chatroomtest.DialFunc)
}

var transports = []transport{
	{"pipe", false, listenPipe},
	{"bubble", true, listenPipe},
	{"tcp", false, func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
		return listenTCP(tb), new(net.Dialer).DialContext
	}},
	{"tls", false, func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
		server, client := tlsConfigs()
		return tls.NewListener(listenTCP(tb), server), (&tls.Dialer{Config: client}).DialContext
	}},
	{"unix", false, func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
		l, err := net.Listen("unix", filepath.Join(tb.TempDir(), "s"))
		require.NoError(tb, err)
		return l, new(net.Dialer).DialContext
	}},
}

func listenPipe(testing.TB) (net.Listener, chatroomtest.DialFunc) {
	l := chatroomtest.NewListener()
	return l, l.DialContext
}

func listenTCP(tb testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return l
}

// overTransports runs test once over each transport, with what a suite needs to
// know of it.
func overTransports(t *testing.T, test func(t *testing.T, tr transport, opts ...chatroomtest.SuiteOption)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			if tr.bubble {
				test(t, tr, chatroomtest.InBubble())
				return
			}
			test(t, tr)
		})
	}
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

// failing runs each case in a bubble and returns the names of those that fail,
// and how they do.
func failing(t *testing.T, cases []chatroomtest.SuiteCase) (names []string, failures map[string]string) {
	t.Helper()
	failures = map[string]string{}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			if failure := failureOf(t, c.Test); failure != "" {
				names = append(names, c.Name)
				failures[c.Name] = failure
			}
		})
	}
	return names, failures
}

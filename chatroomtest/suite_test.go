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

	"github.com/stretchr/testify/assert"
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

// A case that hangs says who waits for what, and why that matters.
func TestSuiteHangs(t *testing.T) {
	test := func(cases []chatroomtest.SuiteCase, name string, want ...string) {
		t.Helper()
		_, failures := failing(t, cases)
		require.Contains(t, failures, name)
		for _, part := range want {
			assert.Contains(t, failures[name], part)
		}
	}
	test(chatroomtest.ServerCases(startFaulty(serverFaults{waitForSlow: true}, listenPipe)), "slow-reader",
		"chatroomtest: ann: write \"32773",
		"why it matters: a member that does not read must not stop the others",
		"the case has taken 10s",
		"ann writes 32783 bytes",
		"bob waits for nothing; ",
		"slow waits for nothing; ",
		"; it does not read",
		"faultyServer).publish", // in the stacks
	)
	test(chatroomtest.ServerCases(startFaulty(serverFaults{dropEmpty: true}, listenPipe)), "empty",
		"chatroomtest: bob: want 1 empty messages, and it did not come",
		"ann waits for nothing",
		"bob waits for 1 empty messages",
		`the last "after empty 0"`,
	)
	test(chatroomtest.ClientCases(startFaultyClient(clientFaults{noLimit: true})), "huge-header",
		"chatroomtest: want Receive to return: it did not happen",
		"the suite waits for Receive to return",
		"faultyClient).readFrame",
	)
	test(chatroomtest.ListenerCases(func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
		return startFaultyListener(tb, listenerFaults{acceptOn: true})
	}), "accept-after-close",
		"chatroomtest: want Accept of a closed listener to return: it did not happen",
		"the suite waits for Accept of a closed listener to return",
		"faultyListener).Accept",
	)
}

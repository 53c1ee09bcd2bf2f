package chatroomtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// failing runs each case in a bubble and returns how those fail that do, by name.
// Of a case in parts it is one of them that fails.
func failing(t *testing.T, cases []chatroomtest.SuiteCase) map[string]string {
	t.Helper()
	failures := map[string]string{}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			if failure := failureOf(t, c.Test); failure != "" {
				failures[caseOf(c.Name)] = failure
			}
		})
	}
	return failures
}

// caseOf is the name of a case without that of a part.
func caseOf(name string) string {
	whole, _, _ := strings.Cut(name, "/")
	return whole
}

// allOf returns the names of the cases.
func allOf(cases []chatroomtest.SuiteCase) []string {
	names := make([]string, len(cases))
	for i, c := range cases {
		names[i] = caseOf(c.Name)
	}
	return slices.Compact(names)
}

// wantFailing fails the test unless the cases that fail are those of want.
func wantFailing(t *testing.T, want []string, cases []chatroomtest.SuiteCase) {
	t.Helper()
	failures := failing(t, cases)
	if !assert.ElementsMatch(t, want, slices.Collect(maps.Keys(failures))) {
		for name, failure := range failures {
			if !slices.Contains(want, name) {
				t.Logf("%s: %.1000s", name, failure)
			}
		}
	}
	for name, failure := range failures {
		assert.Contains(t, failure, "why it matters: ", name)
	}
}

// A skip names a case or a part, so their names must be easy to write.
func TestCaseNames(t *testing.T) {
	for _, cases := range [][]chatroomtest.SuiteCase{
		chatroomtest.ServerCases(nil), chatroomtest.ClientCases(nil), chatroomtest.ListenerCases(nil),
	} {
		seen := map[string]bool{}
		for _, c := range cases {
			assert.Regexp(t, "^[a-z0-9-]+(/[a-z0-9-]+)?$", c.Name)
			assert.False(t, seen[c.Name], "%s is there twice", c.Name)
			seen[c.Name] = true
		}
	}
}

// A case is skipped whole or in part, by a name that it has.
func TestSkipCase(t *testing.T) {
	for _, tt := range []struct {
		name   string
		passes bool
		want   []string // lines of the test's log
	}{
		{"large", true, []string{"--- SKIP: TestSomething/large/65536", "--- SKIP: TestSomething/large/262144", "--- PASS: TestSomething/empty"}},
		{"large/65536", true, []string{"--- SKIP: TestSomething/large/65536", "--- PASS: TestSomething/large/262144"}},
		{"silent", true, []string{"--- SKIP: TestSomething/silent"}},
		{"large/65537", false, []string{`no case and no part to skip is called "large/65537"`}},
		{"larger", false, []string{`no case and no part to skip is called "larger"`}},
		{"silent/65536", false, []string{`no case and no part to skip is called "silent/65536"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			passed, log := runVerbosely(t, func(t *testing.T) {
				chatroomtest.TestServer(t, startOn(listenPipe), chatroomtest.InBubble(), chatroomtest.SkipCase(tt.name, "a reason"))
			})
			assert.Equal(t, tt.passes, passed)
			for _, line := range tt.want {
				assert.Contains(t, log, line)
			}
			assert.Equal(t, tt.passes, strings.Contains(log, "a reason"))
		})
	}
}

// runVerbosely runs test as go test -v does, and returns what that prints.
func runVerbosely(t *testing.T, test func(t *testing.T)) (passed bool, log string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	stdout, verbose := os.Stdout, flag.Lookup("test.v").Value
	was := verbose.String()
	defer func() {
		os.Stdout = stdout
		_ = verbose.Set(was)
	}()
	os.Stdout = out
	_ = verbose.Set("true")
	passed = testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestSomething", F: test}})
	require.NoError(t, out.Close())
	b, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	return passed, string(b)
}

// A case that hangs says who waits for what, and why that matters.
func TestSuiteHangs(t *testing.T) {
	test := func(cases []chatroomtest.SuiteCase, name string, want ...string) {
		t.Helper()
		failures := failing(t, cases)
		require.Contains(t, failures, name)
		for _, part := range want {
			assert.Contains(t, failures[name], part)
		}
	}
	test(chatroomtest.ServerCases(startFaulty(serverFaults{waitForSlow: true}, listenPipe)), "slow-reader",
		"chatroomtest: ann: write \"16384",
		"why it matters: a member that does not read must not stop the others",
		"the case has taken 10s",
		"ann writes 16394 bytes",
		"ben: ",
		"slow: ",
		"; it does not read",
		"faultyServer).publish", // in the stacks
	)
	test(chatroomtest.ServerCases(startFaulty(serverFaults{dropEmpty: true}, listenPipe)), "empty",
		`chatroomtest: ben waited in vain for ""`,
		`ben waits for ""`,
		`the last "7         in step"`,
	)
	test(chatroomtest.ClientCases(startFaultyClient(clientFaults{noLimit: true})), "huge-header",
		"chatroomtest: the suite waited in vain for Receive to return",
		"the suite waits for Receive to return",
		"faultyClient).readFrame",
	)
	test(chatroomtest.ListenerCases(func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) {
		return startFaultyListener(tb, listenerFaults{acceptOn: true})
	}), "accept-after-close",
		"chatroomtest: the suite waited in vain for Accept of a closed listener to return",
		"the suite waits for Accept of a closed listener to return",
		"faultyListener).Accept",
	)
}

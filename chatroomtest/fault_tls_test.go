package chatroomtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

// newTestCertificate returns a certificate that nobody has reason to trust.
func newTestCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TLS goes over connections with faults, and Reset goes through it.
func TestFaultsBelowTLS(t *testing.T) {
	for _, w := range wrappers {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := chatroomtest.NewBufferedListener(64 << 10)
				server := &tls.Config{Certificates: []tls.Certificate{newTestCertificate(t)}}
				client := &tls.Config{InsecureSkipVerify: true}
				s := chatroomtest.NewServerOn(t,
					tls.NewListener(chatroomtest.WrapListener(l, w.wrap), server),
					chatroomtest.WrapDial(l.DialContext, func(nc net.Conn) net.Conn { return tls.Client(w.wrap(nc), client) }))
				alice, bob := s.Join("alice"), s.Join("bob")
				alice.Send("hello")
				bob.Want("alice", "hello")
				bob.Send("hello yourself")
				alice.Want("bob", "hello yourself")
				alice.Cut()
				require.ErrorIs(t, s.WaitLeave("alice"), syscall.ECONNRESET)
				bob.Close()
				require.NoError(t, s.WaitLeave("bob"))
			})
		})
	}
}

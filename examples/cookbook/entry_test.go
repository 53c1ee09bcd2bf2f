package cookbook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.Tokens(map[string][32]byte{"alice": sha256.Sum256([]byte("s3:cret"))}))
		require.Equal(t, "alice", s.Join("alice:s3:cret").Member.Name)
		for _, wrong := range []string{"alice", "alice:", "alice:s3", "bob:s3:cret", "bob", ":"} {
			require.ErrorContains(t, s.Refusal(wrong), "wrong name or token")
		}
		mallory := s.DialRaw()
		mallory.SendFrame("alice:guess")
		mallory.Want("host", "wrong name or token")
		mallory.WantClosed()
	})
}

func TestRefuse(t *testing.T) {
	s := chatroomtest.NewServer(t, chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
		return cookbook.Refuse(j, errors.New("not today"))
	}))
	raw := s.DialRaw()
	raw.SendFrame("alice")
	raw.Want("host", "not today")
	raw.WantClosed()
}

func TestCertificateNames(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	certificate := func(subject pkix.Name) tls.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: subject, DNSNames: []string{"chat.test"}, NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		roots.AddCert(cert)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	l := chatroomtest.NewBufferedListener(0)
	s := chatroomtest.NewServerOn(t, tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{certificate(pkix.Name{CommonName: "chat.test"})},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: roots,
	}), l.DialContext, cookbook.CertificateNames())
	dial := func(certs ...tls.Certificate) net.Conn {
		nc, err := l.DialContext(t.Context(), "", "")
		require.NoError(t, err)
		return tls.Client(nc, &tls.Config{Certificates: certs, RootCAs: roots, ServerName: "chat.test"})
	}
	subject := pkix.Name{CommonName: "alice", OrganizationalUnit: []string{"games"}}
	alice := s.JoinConn(dial(certificate(subject)), "whatever")
	require.Equal(t, "alice", alice.Member.Name)
	require.Equal(t, "games", alice.Member.Room().Name())
	nobody := dial()
	defer nobody.Close()
	_, err = nobody.Read(nil) // the handshake is over before the server has seen that there is no certificate
	require.NoError(t, err)
	_, err = nobody.Read(make([]byte, 1))
	require.ErrorContains(t, err, "certificate required")
	require.ErrorContains(t, s.Refusal("alice"), "no client certificate") // in memory, without TLS
}

func TestRoomsByListener(t *testing.T) {
	s := chatroomtest.NewServer(t, cookbook.RoomsByListener(map[string]string{"4321": "games", "/run/attic": "attic"}))
	join := func(at net.Addr, name string) *chatroomtest.Client {
		ours, theirs := chatroomtest.NewLink(0)
		go s.ServeConn(context.Background(), localConn{theirs, at})
		return s.JoinConn(ours, name)
	}
	require.Equal(t, "games", join(&net.TCPAddr{IP: net.IPv6loopback, Port: 4321}, "alice").Member.Room().Name())
	require.Equal(t, "attic", join(&net.UnixAddr{Name: "/run/attic", Net: "unix"}, "bob").Member.Room().Name())
	require.Empty(t, s.Join("carol").Member.Room().Name())
}

// A localConn was accepted at an address.
type localConn struct {
	net.Conn
	at net.Addr
}

func (c localConn) LocalAddr() net.Addr { return c.at }

func TestRoomsByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, cookbook.RoomsByName("", "games"))
		alice, bob, carol := s.Join("alice@games"), s.Join("bob@games"), s.Join("carol")
		alice.Send("hello")
		bob.Want("alice", "hello")
		carol.WantNothing()
		require.ErrorContains(t, s.Refusal("dave@attic"), `there is no room "attic"`)
	})
}

func TestBans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bans cookbook.Bans
		s := chatroomtest.NewServer(t, bans.Options()...)
		dial := func(ip string) net.Conn {
			nc, err := s.Listener.DialFrom(t.Context(), &net.TCPAddr{IP: net.ParseIP(ip), Port: 1})
			require.NoError(t, err)
			return nc
		}
		refused := func(ip, name string) {
			raw := s.RawConn(dial(ip))
			raw.SendFrame(name)
			raw.WantClosed()
		}
		alice, bob := s.JoinConn(dial("2001:db8::1"), "alice"), s.JoinConn(dial("2001:db8::2"), "bob")
		carol := s.JoinConn(dial("2001:db8:0:1::1"), "carol")
		bans.Ban(alice.Member, time.Now().Add(time.Hour), s.Members())
		alice.WantClosed()
		bob.WantClosed() // from the same network
		require.ErrorIs(t, s.WaitLeave("bob"), cookbook.ErrBanned)
		refused("2001:db8::3", "mallory")
		require.Equal(t, uint64(3), s.Stats().Joins) // so nobody saw her come
		require.ErrorIs(t, s.Refusal("alice"), cookbook.ErrBanned)
		s.JoinConn(dial("192.0.2.1"), "dave")
		time.Sleep(time.Hour)
		s.JoinConn(dial("2001:db8::1"), "alice")
		carol.WantNothing()
	})
}

// A ban that comes after somebody was admitted, and before the room lists them, is not
// missed.
func TestBans_whileJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bans cookbook.Bans
		opts := append(bans.Options(), chatroom.WithAdmit(func(context.Context, *chatroom.Join) error {
			bans.Ban(chatroom.Member{Name: "alice", RemoteAddr: chatroomtest.Addr("pipe")}, time.Now().Add(time.Hour), nil)
			return nil
		}))
		s := chatroomtest.NewServer(t, opts...)
		alice := s.DialRaw()
		alice.SendFrame("alice")
		alice.WantClosed()
		require.ErrorIs(t, s.WaitLeave("alice"), cookbook.ErrBanned)
	})
}

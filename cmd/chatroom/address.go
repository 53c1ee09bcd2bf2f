package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"
)

// dialTimeout is how long the network may take to connect, a TLS handshake
// included.
const dialTimeout = 30 * time.Second

// An address is where a room is: HOST:PORT, unix:PATH or tls:HOST:PORT.
type address struct {
	network string // "tcp" or "unix"
	addr    string // host:port or path
	tls     bool
}

func parseAddress(s string) (address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return address{}, fmt.Errorf("address %q: no path", s)
		}
		return address{network: "unix", addr: path}, nil
	}
	hostport, secure := strings.CutPrefix(s, "tls:")
	_, port, err := net.SplitHostPort(hostport)
	if err == nil && port == "" {
		err = errors.New("missing port in address")
	}
	if err != nil {
		if ae := (*net.AddrError)(nil); errors.As(err, &ae) {
			err = errors.New(ae.Err)
		}
		return address{}, fmt.Errorf("address %q: %w; want HOST:PORT, unix:PATH or tls:HOST:PORT", s, err)
	}
	return address{network: "tcp", addr: hostport, tls: secure}, nil
}

func (a address) String() string {
	switch {
	case a.tls:
		return "tls:" + a.addr
	case a.network == "unix":
		return "unix:" + a.addr
	}
	return a.addr
}

// listen listens on a, with config if it is a TLS address. The end of ctx stops
// its wait for a name server.
func (a address) listen(ctx context.Context, config *tls.Config) (net.Listener, error) {
	if a.network == "unix" {
		return listenSocket(ctx, a.addr)
	}
	l, err := new(net.ListenConfig).Listen(ctx, a.network, a.addr)
	if err != nil {
		return nil, err
	}
	if a.tls {
		l = tls.NewListener(l, config)
	}
	return l, nil
}

// of returns a with the port that l, which listens on a, has been given.
func (a address) of(l net.Listener) address {
	if a.network == "tcp" {
		a.addr = l.Addr().String()
	}
	return a
}

// serverTLS loads the certificate that a server shows.
func serverTLS(certFile, keyFile string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, nil
}

// clientTLS returns how to verify a server. Its certificate must be for
// serverName, or for its address if serverName is empty. The authorities are
// those in caFile, or the system's if caFile is empty.
func clientTLS(caFile, serverName string) (*tls.Config, error) {
	config := &tls.Config{ServerName: serverName}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("load authorities: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load authorities: %s: no certificate in PEM", caFile)
	}
	return config, nil
}

// dial connects to a, with config if it is a TLS address.
func (a address) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if !a.tls {
		return new(net.Dialer).DialContext(ctx, a.network, a.addr)
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, a.network, a.addr)
}

// explain adds to err, with which dialing a failed, what the user can do.
func (a address) explain(err error) error {
	if errors.Is(err, errConnRefused) || a.network == "unix" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nobody serves at %s; start a room there with %q", a, "chatroom serve -addr "+a.String())
	}
	return err
}

// explainInUse says what the user can do when a is in use.
func (a address) explainInUse() error {
	join := "chatroom join"
	if a.String() != defaultAddr {
		join += " " + a.String()
	}
	return fmt.Errorf("%s is in use: is another room running there? %q joins it, and -addr hosts elsewhere", a, join)
}

package wsroom

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gobwas/ws"
)

// heartbeat is how often a client says that it is there, with a pong that nobody has asked for:
// one that does not read answers no pings.
const heartbeat = 15 * time.Second

// A Dialer connects to a room that a [Handler] serves. The zero value works. It must not be
// changed while it is used; then it is safe for concurrent use.
//
//	d := &wsroom.Dialer{}
//	c, err := chatroom.Dial(ctx, "", "wss://example.com/ws", "alice", chatroom.WithDialer(d.DialContext))
type Dialer struct {
	// Header has further headers for the request, such as Cookie, Authorization or Origin.
	Header http.Header

	// TLSConfig is for wss addresses, and for proxies with an https address. Nil is the
	// default configuration.
	TLSConfig *tls.Config

	// Proxy returns the HTTP proxy for a request, or nil for none. Nil is
	// [http.ProxyFromEnvironment].
	Proxy func(*http.Request) (*url.URL, error)

	// NetDial connects to the server, or to the proxy. Nil is a zero [net.Dialer].
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)
}

// DialContext connects to address, which is a URL with the scheme ws or wss. It ignores the
// network. It blocks until the handshake is over or ctx ends, which has no effect on the
// connection later.
//
// The connection is a stream. Each write is a binary message, and reads take no notice of
// where messages begin. Its methods are safe for concurrent use, and its deadlines work as
// those of a TCP connection do. It has a CloseWrite, which says goodbye with a close frame. When
// the server does so, reads return [io.EOF] after codes 1000, 1001 and a missing one, and
// a [*CloseError] after any other, such as 1008, whose reason says why the member was refused
// or kicked. If the stream ends without a close frame they return an error that matches
// [io.ErrUnexpectedEOF].
func (d *Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	u, err := url.Parse(address)
	if err == nil && u.Scheme != "ws" && u.Scheme != "wss" {
		err = errors.New("want a URL that begins with ws:// or wss://")
	}
	if err != nil {
		return nil, fmt.Errorf("wsroom: dial %q: %w", address, err)
	}
	nc, early, err := d.dial(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("wsroom: dial %s: %w", u.Redacted(), err)
	}
	c := newConn(nc, true, early)
	c.startBeat(ws.OpPong, heartbeat)
	return c.asNetConn(), nil
}

// dial makes the handshake. It returns what was read behind it.
func (d *Dialer) dial(ctx context.Context, u *url.URL) (nc net.Conn, early []byte, err error) {
	proxy, err := d.proxyFor(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	dialer := ws.Dialer{
		TLSConfig: d.TLSConfig.Clone(),
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if proxy != nil {
				return d.dialProxy(ctx, proxy, addr)
			}
			return d.netDial(ctx, network, addr)
		},
	}
	if dialer.TLSConfig != nil {
		dialer.TLSConfig.NextProtos = []string{"http/1.1"}
	}
	if d.Header != nil {
		dialer.Header = ws.HandshakeHeaderHTTP(d.Header)
	}
	nc, br, _, err := dialer.Dial(ctx, u.String())
	if err != nil {
		return nil, nil, err
	}
	if br != nil {
		early = make([]byte, br.Buffered())
		_, _ = br.Read(early) // what is buffered is there
		ws.PutReader(br)
	}
	return nc, early, nil
}

func (d *Dialer) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.NetDial != nil {
		return d.NetDial(ctx, network, addr)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// proxyFor returns the proxy to reach u through, or nil.
func (d *Dialer) proxyFor(ctx context.Context, u *url.URL) (*url.URL, error) {
	asHTTP := *u
	asHTTP.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, asHTTP.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	find := d.Proxy
	if find == nil {
		find = http.ProxyFromEnvironment
	}
	proxy, err := find(r)
	if err != nil || proxy == nil {
		return nil, err
	}
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return nil, fmt.Errorf("proxy %s: neither http nor https", proxy.Redacted())
	}
	return proxy, nil
}

// dialProxy connects to addr through a proxy.
func (d *Dialer) dialProxy(ctx context.Context, proxy *url.URL, addr string) (nc net.Conn, err error) {
	host := proxy.Host
	if proxy.Port() == "" {
		host = net.JoinHostPort(proxy.Hostname(), map[string]string{"http": "80", "https": "443"}[proxy.Scheme])
	}
	nc, err = d.netDial(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(longAgo) })
	below := nc
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = below.Close() // it is of no use
			err = fmt.Errorf("proxy %s: %w", proxy.Redacted(), err)
		}
	}()
	if proxy.Scheme == "https" {
		config := d.TLSConfig.Clone()
		if config == nil {
			config = new(tls.Config)
		}
		config.NextProtos = []string{"http/1.1"}
		if config.ServerName == "" {
			config.ServerName = proxy.Hostname()
		}
		nc = tls.Client(nc, config)
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: make(http.Header)}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := r.Write(nc); err != nil {
		return nil, err
	}
	br := bufio.NewReader(nc) // the server behind it says nothing before it is spoken to
	resp, err := http.ReadResponse(br, r)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // there is none
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, errors.New(resp.Status)
	case br.Buffered() > 0:
		return nil, errors.New("it sends more than an answer")
	}
	return nc, nil
}

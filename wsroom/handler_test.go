package wsroom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
)

func TestOrigins(t *testing.T) {
	tests := []struct {
		origin  string
		allowed []string
		ok      bool
	}{
		{"", nil, true},
		{"http://HOST", nil, true},
		{"https://HOST", nil, true}, // TLS may end at a proxy
		{"http://evil.example", nil, false},
		{"http://HOST.evil.example", nil, false},
		{"null", nil, false},
		{"file://", nil, false},
		{"https://chat.example.com", []string{"*.example.com"}, true},
		{"https://example.com.evil", []string{"*.example.com", "example.com"}, false},
		{"https://EXAMPLE.com", []string{"Example.com"}, true},
		{"http://example.com", []string{"https://example.com"}, false},
		{"https://example.com", []string{"https://example.com"}, true},
		{"http://localhost:3000", []string{"localhost:3000"}, true},
		{"http://localhost:3001", []string{"localhost:3000"}, false},
		{"null", []string{"*"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.origin+" "+strings.Join(tt.allowed, " "), func(t *testing.T) {
			u, d := startHTTP(t, wsroom.Handler(newRoom(t), wsroom.WithOrigins(tt.allowed...)))
			if tt.origin != "" {
				d.Header = http.Header{"Origin": {strings.Replace(tt.origin, "HOST", strings.TrimPrefix(u, "ws://"), 1)}}
			}
			nc, err := d.DialContext(t.Context(), "", u)
			if tt.ok {
				require.NoError(t, err)
				require.NoError(t, nc.Close())
				return
			}
			var status ws.StatusError
			require.ErrorAs(t, err, &status)
			assert.EqualValues(t, http.StatusForbidden, status)
		})
	}
}

type contextKey struct{}

// Hooks see the request, the values of its context and the room of its path. The request is not
// kept for longer than they need it.
func TestRequest(t *testing.T) {
	overTransports(t, func(t *testing.T, start starter) {
		conns := make(chan net.Conn, 1)
		s := newRoom(t,
			chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
				conns <- j.Conn
				r, ok := wsroom.Request(j.Conn)
				if !ok {
					return errors.New("no request")
				}
				cookie, err := r.Cookie("user")
				if err != nil {
					return err
				}
				j.Name, j.Value = cookie.Value, r.TLS != nil
				return nil
			}),
			chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
				_ = m.Send(ctx, "host", []byte(m.Room().Name()+" "+ctx.Value(contextKey{}).(string)))
			}))
		mux := http.NewServeMux()
		mux.Handle("/ws/{room}", wsroom.Handler(s, wsroom.WithRoom(func(r *http.Request) (string, error) {
			return r.PathValue("room"), chatroom.CheckName(r.PathValue("room"))
		})))
		u, d := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), contextKey{}, "value"))
			defer cancel() // as a middleware's timeout does
			mux.ServeHTTP(w, r.WithContext(ctx))
		}))
		d.Header = http.Header{"Cookie": {"user=ann"}}
		c, err := chatroom.Dial(t.Context(), "", u+"/ws/lobby", "whoever", chatroom.WithDialer(d.DialContext))
		require.NoError(t, err)
		defer c.Close()
		m, err := c.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "lobby value", string(m.Body))
		_, ok := wsroom.Request(<-conns)
		assert.False(t, ok, "the member has joined")
		members := s.Room("lobby").Members()
		require.Len(t, members, 1)
		assert.Equal(t, "ann", members[0].Name)
		assert.Equal(t, strings.HasPrefix(u, "wss:"), members[0].Value)

		_, err = d.DialContext(t.Context(), "", u+"/ws/%20")
		var status ws.StatusError
		require.ErrorAs(t, err, &status)
		assert.EqualValues(t, http.StatusNotFound, status)
	})
}

func TestNoRequest(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	_, ok := wsroom.Request(near)
	assert.False(t, ok)
}

func TestMaxConns(t *testing.T) {
	s := newRoom(t)
	u, d := startHTTP(t, wsroom.Handler(s, wsroom.WithMaxConns(1)))
	nc := dial(t, u, d)
	_, err := d.DialContext(t.Context(), "", u)
	var status ws.StatusError
	require.ErrorAs(t, err, &status)
	assert.EqualValues(t, http.StatusServiceUnavailable, status)
	require.NoError(t, nc.Close())
	require.NoError(t, s.Shutdown(t.Context()))
}

// What is no handshake is answered as HTTP, and a server that has ended says so.
func TestNoHandshake(t *testing.T) {
	s := newRoom(t)
	u, d := startHTTP(t, wsroom.Handler(s))
	resp, err := http.Get("http" + strings.TrimPrefix(u, "ws"))
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.GreaterOrEqual(t, resp.StatusCode, 400)
	assert.Less(t, resp.StatusCode, 500)
	http.DefaultClient.CloseIdleConnections()

	require.NoError(t, s.Shutdown(t.Context()))
	nc := dial(t, u, d)
	_, err = io.Copy(io.Discard, nc)
	require.NoError(t, err, "1001 is a clean end")
}

// A Dialer reaches the room through a proxy, which must let it.
func TestProxy(t *testing.T) {
	for _, tr := range transports[:2] {
		t.Run(tr.name, func(t *testing.T) {
			j := make(joins, 1)
			s := newRoom(t, j.option())
			u, d := tr.start(t, wsroom.Handler(s))
			var asked atomic.Int64
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := parseProxyAuth(r)
				if r.Method != http.MethodConnect || user != "me" || password != "secret" {
					http.Error(w, "no", http.StatusProxyAuthRequired)
					return
				}
				asked.Add(1)
				tunnel(w, r.Host)
			}))
			defer proxy.Close()
			through := func(user *url.Userinfo) func(*http.Request) (*url.URL, error) {
				return func(*http.Request) (*url.URL, error) {
					return &url.URL{Scheme: "http", Host: strings.TrimPrefix(proxy.URL, "http://"), User: user}, nil
				}
			}
			d.Proxy = through(nil)
			_, err := d.DialContext(t.Context(), "", u)
			require.ErrorContains(t, err, "407")
			d.Proxy = through(url.UserPassword("me", "secret"))
			ann, err := chatroom.Dial(t.Context(), "", u, "ann", chatroom.WithDialer(d.DialContext))
			require.NoError(t, err)
			defer ann.Close()
			j.await(t, "ann")
			require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hello")))
			m, err := ann.Receive(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "hello", string(m.Body))
			assert.EqualValues(t, 1, asked.Load())
			require.NoError(t, ann.Close())
		})
	}
}

func parseProxyAuth(r *http.Request) (user, password string, ok bool) {
	r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
	return r.BasicAuth()
}

// tunnel joins the proxy's client to a server.
func tunnel(w http.ResponseWriter, host string) {
	far, err := net.Dial("tcp", host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

func TestBadAddress(t *testing.T) {
	for _, address := range []string{"http://example.com", "localhost:80", "://", ""} {
		_, err := new(wsroom.Dialer).DialContext(t.Context(), "", address)
		require.Error(t, err, address)
	}
}

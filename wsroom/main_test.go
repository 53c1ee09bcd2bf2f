package wsroom_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/wsroom"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// transports are what WebSocket runs over.
var transports = []struct {
	name  string
	start func(tb testing.TB, h http.Handler) (url string, dialer *wsroom.Dialer)
}{
	{"ws", startHTTP},
	{"wss", func(tb testing.TB, h http.Handler) (string, *wsroom.Dialer) {
		s := httptest.NewTLSServer(h)
		tb.Cleanup(s.Close)
		config := s.Client().Transport.(*http.Transport).TLSClientConfig
		return "wss" + strings.TrimPrefix(s.URL, "https"), &wsroom.Dialer{TLSConfig: config}
	}},
	{"memory", startMemory},
}

func startHTTP(tb testing.TB, h http.Handler) (string, *wsroom.Dialer) {
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http"), &wsroom.Dialer{}
}

// startMemory works also in a bubble.
func startMemory(tb testing.TB, h http.Handler) (string, *wsroom.Dialer) {
	l := chatroomtest.NewBufferedListener(0)
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	tb.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return "ws://memory", &wsroom.Dialer{
		NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx, "", "") },
	}
}

// A starter serves h, and returns where.
type starter = func(tb testing.TB, h http.Handler) (url string, dialer *wsroom.Dialer)

func overTransports(t *testing.T, test func(t *testing.T, start starter)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) { test(t, tr.start) })
	}
}

// newRoom returns a server that ends with the test.
func newRoom(tb testing.TB, opts ...chatroom.ServerOption) *chatroom.Server {
	s := chatroom.NewServer(opts...)
	tb.Cleanup(func() {
		_ = s.Close()
		require.NoError(tb, s.Shutdown(context.Background()))
	})
	return s
}

// joins receives the names of those who have joined.
type joins chan string

func (j joins) option() chatroom.ServerOption {
	return chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { j <- m.Name })
}

// await waits until a member of that name has joined, which must be the next.
func (j joins) await(tb testing.TB, name string) {
	tb.Helper()
	select {
	case joined := <-j:
		require.Equal(tb, name, joined)
	case <-time.After(10 * time.Second):
		require.Fail(tb, "nobody joins", "want %s", name)
	}
}

// A listener's connections are those of requests.
type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  chan struct{} // holds a token until the listener is closed
	addr  net.Addr
}

type urlAddr string

func (a urlAddr) Network() string { return "tcp" }
func (a urlAddr) String() string  { return string(a) }

func listen(tb testing.TB, start starter) (net.Listener, chatroomtest.DialFunc) {
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{}), once: make(chan struct{}, 1)}
	l.once <- struct{}{}
	url, dialer := start(tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc := wsroom.Upgrade(w, r)
		if nc == nil {
			return
		}
		select {
		case l.conns <- nc:
		case <-l.done:
			_ = nc.Close()
		}
	}))
	l.addr = urlAddr(url)
	return l, dialer.DialContext
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	select {
	case <-l.once:
		close(l.done)
		return nil
	default:
		return net.ErrClosed
	}
}

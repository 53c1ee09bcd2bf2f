package wsroom_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/nettest"

	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/wsroom"
)

func TestListenerSuite(t *testing.T) {
	overTransports(t, func(t *testing.T, start starter) {
		chatroomtest.TestListener(t, func(tb testing.TB) (net.Listener, chatroomtest.DialFunc) { return listen(tb, start) })
	})
}

func TestServerSuite(t *testing.T) {
	overTransports(t, func(t *testing.T, start starter) {
		chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
			url, dialer := start(tb, wsroom.Handler(newRoom(tb)))
			return func() (net.Conn, error) { return dialer.DialContext(context.Background(), "", url) }
		})
	})
}

// What any net.Conn has to do, at both ends. Over TLS a write that is cut short breaks the
// connection, with or without WebSocket.
func TestConn(t *testing.T) {
	overTransports(t, func(t *testing.T, start starter) {
		if strings.HasSuffix(t.Name(), "/wss") {
			t.Skip("a *tls.Conn itself does not pass")
		}
		for _, swap := range []bool{false, true} {
			t.Run(map[bool]string{false: "client", true: "server"}[swap], func(t *testing.T) {
				nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
					l, dial := listen(t, start)
					if near, err = dial(t.Context(), "", l.Addr().String()); err != nil {
						return nil, nil, nil, err
					}
					if far, err = l.Accept(); err != nil {
						return nil, nil, nil, err
					}
					if swap {
						near, far = far, near
					}
					return near, far, func() {
						_ = near.Close() // the test may have closed it
						_ = far.Close()
						_ = l.Close()
					}, nil
				})
			})
		}
	})
}

package transport_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/chatroom/internal/transport"
)

func TestKinds(t *testing.T) {
	near, _ := newPipe(t)
	s := newMemSocket()
	assertKind(t, "stream", transport.New(near, 0))
	assertKind(t, "stream", transport.New(struct{ net.Conn }{s}, 0))
	assertKind(t, "layered", transport.New(fakeLayer{near}, 0))
	assertKind(t, "layered", transport.New(fakeLayer{s}, 0))
	assertKind(t, "layered", transport.New(tls.Server(near, nil), 0))
	assertKind(t, "layered", transport.New(tls.Server(s, nil), 0))
	assertKind(t, "polled", transport.New(s, 0))
}

// assertKind asserts which of the package's kinds c is.
func assertKind(t *testing.T, want string, c transport.Conn) {
	t.Helper()
	assert.Equal(t, "*transport."+want, fmt.Sprintf("%T", c))
	assert.Equal(t, strings.HasPrefix(want, "polled"), c.Polled())
}

//go:build unix && !race

package transport_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/chatroom/internal/transport"
)

// Reading and writing need no memory. (The race detector empties pools.)
func TestSocketAllocs(t *testing.T) {
	server, client := newSockets(t, "tcp")
	c := transport.New(server, time.Minute)
	hello, p := runs("hello", "world"), make([]byte, 10)
	b := &quietBuffer{}
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = c.TryWrite(hello)
		_, _ = io.ReadFull(client, p)
		_, _ = client.Write(p)
		_, _ = c.Read(b)
	})
	assert.Zero(t, allocs)
}

type quietBuffer [256]byte

func (b *quietBuffer) Space(bool) []byte { return b[:] }
func (*quietBuffer) Park()               {}

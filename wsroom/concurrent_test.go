package wsroom_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/wsroom"
)

// While a peer pings without end, writes are cut by deadlines, and at last the connection is
// closed in the middle of it all, the peer sees nothing but whole frames and an unbroken stream.
func TestConcurrentUse(t *testing.T) {
	ends := map[string]func(c net.Conn){
		"CloseWrite": func(c net.Conn) { _ = c.(interface{ CloseWrite() error }).CloseWrite() },
		"Close":      func(c net.Conn) { _ = c.Close() },
		"both": func(c net.Conn) {
			var wg sync.WaitGroup
			wg.Go(func() { _ = c.(interface{ CloseWrite() error }).CloseWrite() })
			wg.Go(func() { _ = c.Close() })
			wg.Wait()
		},
	}
	for _, tr := range transports {
		if tr.name == "wss" {
			continue // a write that is cut short breaks a *tls.Conn
		}
		for name, end := range ends {
			t.Run(tr.name+"/"+name, func(t *testing.T) {
				conns := make(chan net.Conn, 1)
				url, d := tr.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { conns <- wsroom.Upgrade(w, r) }))
				peer, _, _, err := ws.Dialer{NetDial: d.NetDial}.Dial(context.Background(), url)
				require.NoError(t, err)
				defer peer.Close()
				require.NoError(t, peer.SetDeadline(time.Now().Add(20*time.Second)))
				c := <-conns
				defer c.Close()

				var all sync.WaitGroup
				defer all.Wait()
				over := make(chan struct{})
				enough := make(chan struct{}) // closed when the peer has read a lot
				all.Go(func() { _, _ = io.Copy(io.Discard, c) })
				all.Go(func() { writeNumbers(t, c) })
				all.Go(func() {
					ping := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("still there?"))))
					for err := error(nil); err == nil; {
						_, err = peer.Write(ping)
					}
				})
				all.Go(func() {
					for by := time.Now(); ; by = time.Now().Add(50 * time.Microsecond) {
						select {
						case <-over:
							return
						default:
							_ = c.SetWriteDeadline(by) // fails when it has ended
						}
					}
				})
				all.Go(func() {
					<-enough
					end(c)
					_ = c.Close()
					close(over)
				})
				readNumbers(t, peer, enough)
				_ = peer.Close()
			})
		}
	}
}

// writeNumbers writes the numbers from 0 until the connection has ended.
func writeNumbers(t *testing.T, c net.Conn) {
	b := make([]byte, 0, 40_000)
	for next := uint64(0); ; {
		for b = b[:0]; len(b) < 8*(1+int(next%5000)) && len(b) < cap(b); next++ {
			b = binary.BigEndian.AppendUint64(b, next)
		}
		for rest := b; len(rest) > 0; {
			n, err := c.Write(rest)
			if rest = rest[n:]; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err == nil {
				assert.Empty(t, rest)
			}
		}
	}
}

// readNumbers reads what writeNumbers writes until the connection ends.
func readNumbers(t *testing.T, peer net.Conn, enough chan<- struct{}) {
	var last []byte
	next, pongs, closed := uint64(0), 0, false
	defer func() {
		if enough != nil {
			close(enough)
		}
	}()
	for {
		h, err := ws.ReadHeader(peer)
		if err != nil {
			return
		}
		require.False(t, closed, "a frame behind the close frame")
		require.NoError(t, ws.CheckHeader(h, ws.StateClientSide))
		payload := make([]byte, h.Length)
		n, err := io.ReadFull(peer, payload)
		if payload = payload[:n]; h.OpCode == ws.OpBinary {
			for payload = append(last, payload...); len(payload) >= 8; payload = payload[8:] {
				require.Equal(t, next, binary.BigEndian.Uint64(payload))
				next++
			}
			last = payload
		}
		if err != nil {
			return
		}
		switch h.OpCode {
		case ws.OpBinary:
		case ws.OpPong:
			require.Equal(t, "still there?", string(payload))
			pongs++
		case ws.OpClose:
			closed = true
		default:
			require.Fail(t, "unexpected frame", "%v", h)
		}
		if enough != nil && next > 20_000 && pongs > 5 {
			close(enough)
			enough = nil
		}
	}
}

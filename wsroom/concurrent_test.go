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

// While a peer pings all the time, write deadlines pass, and at last the connection is
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
				url, d := tr.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conns <- wsroom.Upgrade(w, r)
				}))
				peer, _, _, err := ws.Dialer{NetDial: d.NetDial}.Dial(context.Background(), url)
				require.NoError(t, err)
				defer peer.Close()
				require.NoError(t, peer.SetDeadline(time.Now().Add(20*time.Second)))
				c := <-conns
				defer c.Close()

				var all sync.WaitGroup
				defer all.Wait()
				over := make(chan struct{})
				enough := make(chan struct{})  // closed when the peer has read a lot
				read := make(chan struct{}, 1) // holds a token when it has read a frame
				all.Go(func() { _, _ = io.Copy(io.Discard, c) })
				window := make(chan struct{}, 4) // or pongs would wait behind megabytes in the system's buffers
				all.Go(func() { writeNumbers(t, c, window, over) })
				all.Go(func() {
					ping := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("still there?"))))
					for range read {
						_, _ = peer.Write(ping) // fails when it has ended
					}
				})
				all.Go(func() {
					now := time.NewTicker(100 * time.Microsecond)
					defer now.Stop()
					for {
						select {
						case <-over:
							return
						case at := <-now.C:
							_ = c.SetWriteDeadline(at) // fails when it has ended
							_ = c.SetWriteDeadline(time.Time{})
						}
					}
				})
				all.Go(func() {
					<-enough
					end(c)
					_ = c.Close()
					close(over)
				})
				readNumbers(t, peer, window, read, enough)
				close(read)
				_ = peer.Close()
			})
		}
	}
}

// writeNumbers writes the numbers from 0 until the connection has ended.
func writeNumbers(t *testing.T, c net.Conn, window chan<- struct{}, over <-chan struct{}) {
	b := make([]byte, 0, 40_000)
	for next := uint64(0); ; {
		select {
		case window <- struct{}{}:
		case <-over:
			return
		}
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
func readNumbers(t *testing.T, peer net.Conn, window <-chan struct{}, read, enough chan<- struct{}) {
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
			select {
			case <-window:
			default: // a write that was cut becomes several messages
			}
		case ws.OpPong:
			require.Equal(t, "still there?", string(payload))
			pongs++
		case ws.OpClose:
			closed = true
		default:
			require.Fail(t, "unexpected frame", "%v", h)
		}
		select {
		case read <- struct{}{}:
		default:
		}
		if enough != nil && next > 20_000 && pongs > 20 {
			close(enough)
			enough = nil
		}
	}
}

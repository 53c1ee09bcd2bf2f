//go:build unix

package chatroom_test

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A member that takes a little all the time stays for as long as it is owed
// something, however much that is and however long it takes: nobody floods the
// room. The rates are those of a write timeout of 30 seconds, scaled to that of
// the test.
func TestSteadyReadersStay(t *testing.T) {
	t.Parallel()
	const owed = 9 << 20                   // bytes, more than sockets hold
	timeout, periods := 4*time.Second, 1.5 // long enough for the system to probe closed windows in vain
	rates := []float64{20e3, 50e3}         // what a busy machine does not make slower than the slowest that stay
	if *floodLong {
		timeout, rates = chatroom.DefaultWriteTimeout, append(rates, 5e3, 10e3)
	}
	scale := float64(chatroom.DefaultWriteTimeout / timeout)
	var rooms []*floodRoom
	var reading sync.WaitGroup
	for _, network := range systemNetworks {
		r := newFloodRoom(t, listenSystem(t, network), chatroom.WithWriteTimeout(timeout), chatroom.WithBacklog(4*owed))
		rooms = append(rooms, r)
		for _, receive := range []int{smallReceive, defaultReceive} {
			for _, rate := range rates {
				name := fmt.Sprintf("%s, %.0f bytes a second, receive=%s", network, rate, byteSize(receive))
				nc := &pacedConn{Conn: r.join(receive, name)[0], rate: rate * scale}
				messages := int(nc.rate*periods*timeout.Seconds()) / floodUnit
				reading.Go(func() { assert.NoError(t, readNumbered(nc, messages), name) })
			}
		}
		r.broadcast(owed / floodUnit)
	}
	reading.Wait()
	for _, r := range rooms {
		assert.Empty(t, r.evictions())
	}
}

// Members get all that they are owed at the end, although the server can see
// nothing of their connections but that they read and write, and has not read all
// that they have sent.
func TestShutdownOfHiddenSockets(t *testing.T) {
	t.Parallel()
	const members, messages = 20, 400
	for _, network := range systemNetworks {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			r := newFloodRoom(t, wrappingListener{listenSystem(t, network)})
			conns := r.join(smallReceive, namesOf("member", members)...)
			r.broadcast(messages)

			shut := make(chan error, 1)
			go func() { shut <- r.Shutdown(r.ctx) }()
			for r.Broadcast(r.ctx, "host", nil) == nil {
				require.NoError(t, r.ctx.Err())
			}
			assertAll(t, members, func(i int) error {
				// A part of a message, so that whoever reads it publishes nothing.
				_, err := io.WriteString(conns[i], "100000    and so on")
				return err
			})
			assertAll(t, members, func(i int) error {
				if err := readNumbered(conns[i], messages); err != nil {
					return err
				}
				// What else there may be was published to find out that nothing is any more.
				if _, err := io.Copy(io.Discard, conns[i]); err != nil {
					return fmt.Errorf("after all it was owed: %w", err)
				}
				return nil
			})
			require.NoError(t, <-shut)
			assert.Empty(t, r.evictions())
		})
	}
}

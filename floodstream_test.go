//go:build unix

package chatroom_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"time"

	"example.com/chatroom"
)

var floodLong = flag.Bool("flood.long", false, "run the tests of floods at full length, which takes minutes")

const (
	// smallReceive is a receive buffer in bytes, as small as embedded devices
	// and careless programs have them.
	smallReceive = 16 << 10

	// defaultReceive leaves a receive buffer to the system.
	defaultReceive = 0

	// eager is the rate of a reader that reads whenever it can.
	eager = 0
)

// floodUnit is one message of a flood in bytes, as a member receives it.
var floodUnit = len(appendNumbered(nil, 0))

// appendNumbered appends message n of a flood, as a member receives it.
func appendNumbered(dst []byte, n int) []byte {
	return chatroom.AppendFrame(chatroom.AppendFrame(dst, []byte("flooder")), numberedBody(n))
}

func numberedBody(n int) []byte {
	body := bytes.Repeat([]byte{'x'}, 1<<10)
	renumber(body, n)
	return body
}

// renumber makes body that of message n.
func renumber(body []byte, n int) {
	for i := 9; i >= 0; i-- {
		body[i] = '0' + byte(n%10)
		n /= 10
	}
}

// readNumbered reads the first messages of a flood, and fails at the first byte
// that is not the next.
func readNumbered(in io.Reader, messages int) error {
	want := appendNumbered(nil, 0)
	buf := make([]byte, 64<<10)
	for n, at := 0, 0; n < messages; {
		k, err := in.Read(buf[:min(len(buf), (messages-n)*floodUnit-at)])
		for got := buf[:k]; len(got) > 0; {
			part := min(len(got), floodUnit-at)
			if !bytes.Equal(want[at:at+part], got[:part]) {
				return fmt.Errorf("message %d of %d: want %q, got %q", n, messages, want[at:at+part], got[:part])
			}
			got = got[part:]
			if at += part; at == floodUnit {
				n, at = n+1, 0
				renumber(want[floodUnit-1<<10:], n)
			}
		}
		if err != nil && n < messages {
			return fmt.Errorf("message %d of %d: %w", n, messages, err)
		}
	}
	return nil
}

// A pacedConn is read at a rate, in bytes a second. It makes up for delays, those
// of 64 KiB or 20 ms, so that the rate holds on a busy machine.
type pacedConn struct {
	net.Conn
	rate float64
	next time.Time // when the next read is due
}

func (c *pacedConn) Read(p []byte) (int, error) {
	if c.rate == eager {
		return c.Conn.Read(p)
	}
	makeUp := max(20*time.Millisecond, time.Duration(64<<10/c.rate*float64(time.Second)))
	time.Sleep(time.Until(c.next))
	if earliest := time.Now().Add(-makeUp); c.next.Before(earliest) {
		c.next = earliest
	}
	share := max(int(c.rate/256), 512)
	n, err := c.Conn.Read(p[:min(len(p), share)])
	c.next = c.next.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
	return n, err
}

// equalRates returns n rates of r.
func equalRates(n int, r float64) []float64 { return spreadRates(n, r, 0) }

// spreadRates returns n rates around r, from that share below it to that above.
func spreadRates(n int, r, share float64) []float64 {
	rates := make([]float64, n)
	for i := range rates {
		rates[i] = r * (1 - share + 2*share*float64(i)/float64(max(n-1, 1)))
	}
	return rates
}

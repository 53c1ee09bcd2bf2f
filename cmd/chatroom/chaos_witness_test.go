//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A witness is a member that behaves, and remembers.
type witness struct {
	number   int
	nc       net.Conn
	complete chan struct{} // closed when it has heard of all others, or failed

	// Owned by listen.
	told    []told         // what the survivors said, in the order received
	next    map[string]int // the next number due from each sender
	failure string
}

// A told is one message of a survivor's.
type told struct{ from, number int }

const lastWords = "that was all"

func newWitness(t *testing.T, addr string, number int) *witness {
	t.Helper()
	return &witness{
		number:   number,
		nc:       joinChaos(t, addr, fmt.Sprint("survivor ", number)),
		complete: make(chan struct{}),
		next:     make(map[string]int),
	}
}

// talk numbers its messages, and says at the end that it has.
func (w *witness) talk(stop <-chan struct{}) {
	for n := 0; ; n++ {
		body := fmt.Sprintf("%d of survivor %d", n, w.number)
		select {
		case <-stop:
			body = lastWords
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := w.nc.Write(chatroom.AppendFrame(nil, []byte(body))); err != nil || body == lastWords {
			return // listen tells of an error
		}
	}
}

// listen checks that what each sender says is numbered without a gap and bears its
// name, until all other survivors have said their last words.
func (w *witness) listen() {
	complete := sync.OnceFunc(func() { close(w.complete) })
	defer complete()
	in := bufio.NewReaderSize(w.nc, 1<<20)
	for silent := 0; silent < survivors-1; {
		_ = w.nc.SetReadDeadline(time.Now().Add(3 * patience))
		from, err := chatroom.ReadFrame(in, 100)
		if err != nil {
			w.failure = fmt.Sprintf("read name: %v", err)
			return
		}
		body, err := chatroom.ReadFrame(in, 1<<20)
		if err != nil {
			w.failure = fmt.Sprintf("read message of %q: %v", from, err)
			return
		}
		if string(body) == lastWords {
			silent++
			continue
		}
		number, rest, _ := strings.Cut(string(body), " of ")
		n, err := strconv.Atoi(number)
		who, _, _ := strings.Cut(rest, "|")
		if err != nil || who != string(from) {
			w.failure = fmt.Sprintf("%.100q came from %q", body, from)
			return
		}
		// Survivors may have said something before this one came.
		due, known := w.next[who]
		if survivor, ok := strings.CutPrefix(who, "survivor "); ok {
			i, _ := strconv.Atoi(survivor)
			w.told = append(w.told, told{i, n})
			if !known {
				due = n
			}
		}
		if n != due {
			w.failure = fmt.Sprintf("number %d of %q came, want %d", n, who, due)
			return
		}
		if w.next[who] = n + 1; len(w.next) == survivors-1 {
			complete()
		}
	}
}

// without returns what w was told but by itself and by another.
func (w *witness) without(other int) (rest []told) {
	for _, m := range w.told {
		if m.from != w.number && m.from != other {
			rest = append(rest, m)
		}
	}
	return rest
}

func joinChaos(t testing.TB, addr, name string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	_, err = nc.Write(chatroom.AppendFrame(nil, []byte(name)))
	require.NoError(t, err)
	return nc
}

//go:build unix

package natsroom_test

import (
	"context"
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

// A witness is a member that keeps all it receives.
type witness struct {
	t    *testing.T
	conn *chatroom.Conn
	name string

	mu      sync.Mutex
	got     []string // name: text
	ended   bool
	changed chan struct{}
}

// watch has a witness join, and returns once its server lists it.
func (s *site) watch(t *testing.T, name string) *witness {
	t.Helper()
	return s.watchOver(t, s.DialLink(64<<10), name)
}

// watchOver is watch over a connection to the server.
func (s *site) watchOver(t *testing.T, nc net.Conn, name string) *witness {
	t.Helper()
	w := newWitness(t, nc, name)
	s.events.want("joined", "name="+name)
	return w
}

// newWitness joins over a connection, and does not wait until it has joined.
func newWitness(t *testing.T, nc net.Conn, name string) *witness {
	t.Helper()
	conn, err := chatroom.NewConn(t.Context(), nc, name)
	require.NoError(t, err)
	w := &witness{t: t, conn: conn, name: name, changed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run()
	}()
	t.Cleanup(func() {
		_ = conn.Close() // the server may be gone
		<-done
	})
	return w
}

func (w *witness) run() {
	for m, err := range w.conn.Messages(context.Background()) {
		if err != nil {
			break
		}
		w.change(func() { w.got = append(w.got, m.From+": "+string(m.Body)) })
	}
	w.change(func() { w.ended = true })
}

func (w *witness) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until ok, which is called with what was received so far.
func (w *witness) await(what string, ok func(got []string, ended bool) bool) []string {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		got, ended, changed := w.got[:len(w.got):len(w.got)], w.ended, w.changed
		w.mu.Unlock()
		if ok(got, ended) {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(w.t, "missing", "%s does not receive %s, but %d messages, the last %q", w.name, what, len(got), got[max(0, len(got)-3):])
		}
	}
}

// wantCount waits for so many messages, and returns them.
func (w *witness) wantCount(n int) []string {
	w.t.Helper()
	return w.await(strconv.Itoa(n)+" messages", func(got []string, _ bool) bool { return len(got) >= n })
}

// wantLine waits for a message, and returns all up to now.
func (w *witness) wantLine(line string) []string {
	w.t.Helper()
	seen := 0
	return w.await(line, func(got []string, _ bool) bool {
		for ; seen < len(got); seen++ {
			if got[seen] == line {
				return true
			}
		}
		return false
	})
}

// wantEnd waits until the server has disconnected the witness.
func (w *witness) wantEnd() {
	w.t.Helper()
	w.await("the end", func(_ []string, ended bool) bool { return ended })
}

func (w *witness) send(text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	require.NoError(w.t, w.conn.Send(ctx, []byte(text)))
}

// flood has the witness send n numbered messages. It returns a channel that is closed when
// they are sent, or cannot be.
func (w *witness) flood(n int) (done <-chan struct{}) { return w.floodWith(n, padding) }

// floodWith is flood with a text that follows each number.
func (w *witness) floodWith(n int, text string) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range n {
			if w.conn.Send(w.t.Context(), fmt.Appendf(nil, "%d %s", i, text)) != nil {
				return // as when its server is killed
			}
		}
	}()
	w.t.Cleanup(func() {
		_ = w.conn.Close()
		<-ended
	})
	return ended
}

// wait waits until done is closed.
func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		require.FailNow(t, "not sent")
	}
}

// padding makes messages of a usual length.
var padding = strings.Repeat("x", 64)

// requireNumbered requires that the numbers of each sender's flood follow one another from 0,
// and returns how many each has sent.
func requireNumbered(t *testing.T, got []string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, line := range got {
		from, text, _ := strings.Cut(line, ": ")
		number, rest, _ := strings.Cut(text, " ")
		if rest != padding {
			continue
		}
		require.Equal(t, strconv.Itoa(counts[from]), number, "of %s", from)
		counts[from]++
	}
	return counts
}

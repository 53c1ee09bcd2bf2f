package transport_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// graceTimeout is how long the package waits for what a moment usually brings.
const graceTimeout = 500 * time.Millisecond

// An addr is a network's name.
type addr string

func (a addr) Network() string { return string(a) }
func (a addr) String() string  { return "somewhere" }

// newPipe returns two ends of a net.Pipe that are closed when the test ends.
func newPipe(t testing.TB) (near, far net.Conn) {
	near, far = net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return near, far
}

// A fakeLayer is a layer that does nothing.
type fakeLayer struct{ net.Conn }

func (l fakeLayer) NetConn() net.Conn { return l.Conn }

// A memSocket is a connection in memory that can be polled. As with a socket of
// the system's, what does not wait fails as well when its deadline has passed.
type memSocket struct {
	// Fixed after construction.
	wakeAt int // AwaitWrite does not wake for less room than that, in bytes

	// mu guards the fields below.
	mu              sync.Mutex
	in              []byte // not read
	room            int    // how many bytes are taken
	out             []byte // taken
	eof             bool   // at the end of in
	closed          bool
	lost            bool // closed with what is unsent dropped
	fault           error
	readBy, writeBy time.Time
	changed         chan struct{} // closed and replaced when something above changes
}

var _ transport.Pollable = (*memSocket)(nil)

func newMemSocket() *memSocket { return &memSocket{changed: make(chan struct{})} }

// change has do change the fields, and wakes whoever waits.
func (s *memSocket) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *memSocket) send(text string) { s.change(func() { s.in = append(s.in, text...) }) }
func (s *memSocket) take(n int)       { s.change(func() { s.room += n }) }

func (s *memSocket) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.out)
}

// await calls try until it returns true, once and then whenever something changes
// that makes it ready.
func (s *memSocket) await(by *time.Time, ready, try func() bool) error {
	for first := true; ; first = false {
		s.mu.Lock()
		changed, err := s.changed, s.errLocked(*by)
		isReady := first || ready()
		var deadline <-chan time.Time
		if !by.IsZero() {
			deadline = time.After(time.Until(*by))
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if isReady && try() {
			return nil
		}
		select {
		case <-changed:
		case <-deadline:
		}
	}
}

func (s *memSocket) errLocked(by time.Time) error {
	switch {
	case s.closed:
		return net.ErrClosed
	case !by.IsZero() && !time.Now().Before(by):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (s *memSocket) AwaitRead(try func() bool) error {
	return s.await(&s.readBy, func() bool { return s.fault != nil || s.eof || len(s.in) > 0 }, try)
}

func (s *memSocket) TryRead(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := copy(p, s.in)
	s.in = s.in[n:]
	switch {
	case n > 0:
		return n, nil
	case s.fault != nil:
		return 0, s.fault
	case s.eof:
		return 0, io.EOF
	}
	return 0, transport.ErrWouldBlock
}

func (s *memSocket) TryWrite(runs [][]byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.errLocked(s.writeBy); err != nil {
		return 0, err
	}
	if s.fault != nil {
		return 0, s.fault
	}
	n := 0
	for _, run := range runs {
		run = run[:min(len(run), s.room)]
		s.room -= len(run)
		s.out = append(s.out, run...)
		n += len(run)
	}
	if n == 0 {
		return 0, transport.ErrWouldBlock
	}
	return n, nil
}

func (s *memSocket) AwaitWrite(runs [][]byte) (n int, err error) {
	waitErr := s.await(&s.writeBy, func() bool { return s.fault != nil || s.room > s.wakeAt }, func() bool {
		n, err = s.TryWrite(runs)
		return err != transport.ErrWouldBlock
	})
	if waitErr != nil {
		return 0, waitErr
	}
	return n, err
}

func (s *memSocket) Read(p []byte) (n int, err error) {
	waitErr := s.AwaitRead(func() bool {
		n, err = s.TryRead(p)
		return err != transport.ErrWouldBlock
	})
	if waitErr != nil {
		return 0, waitErr
	}
	return n, err
}

func (s *memSocket) Write(p []byte) (int, error) { return s.AwaitWrite([][]byte{p}) }

func (s *memSocket) Close() error { s.change(func() { s.closed = true }); return nil }

func (s *memSocket) SetLinger(sec int) error { s.change(func() { s.lost = sec == 0 }); return nil }

func (s *memSocket) SetReadDeadline(t time.Time) error {
	s.change(func() { s.readBy = t })
	return nil
}

func (s *memSocket) SetWriteDeadline(t time.Time) error {
	s.change(func() { s.writeBy = t })
	return nil
}

func (s *memSocket) SetDeadline(t time.Time) error {
	s.change(func() { s.readBy, s.writeBy = t, t })
	return nil
}

func (s *memSocket) LocalAddr() net.Addr  { return addr("memory") }
func (s *memSocket) RemoteAddr() net.Addr { return addr("memory") }

// runs returns what Write takes.
func runs(texts ...string) [][]byte {
	var all [][]byte
	for _, text := range texts {
		all = append(all, []byte(text))
	}
	return all
}

// A testBuffer is a Buffer that tells how it was used.
type testBuffer struct {
	p      [256]byte
	calls  []string      // "space", "ready space" and "park"
	parked chan struct{} // a token for Park, if there is room
}

func newTestBuffer() *testBuffer { return &testBuffer{parked: make(chan struct{}, 1)} }

func (b *testBuffer) Space(ready bool) []byte {
	if ready {
		b.calls = append(b.calls, "ready space")
	} else {
		b.calls = append(b.calls, "space")
	}
	return b.p[:]
}

func (b *testBuffer) Park() {
	b.calls = append(b.calls, "park")
	select {
	case b.parked <- struct{}{}:
	default:
	}
}

// assertParked asserts that b was given up whenever there was nothing to read.
func (b *testBuffer) assertParked(t *testing.T) {
	t.Helper()
	assert.GreaterOrEqual(t, len(b.calls), 3)
	for i, call := range b.calls {
		assert.Equal(t, []string{"ready space", "park"}[i%2], call)
	}
	assert.Equal(t, "ready space", b.calls[len(b.calls)-1])
}

// withTLS returns both ends with TLS on them.
func withTLS(t *testing.T, server, client net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	config := certified.TLS.Clone()
	certified.Close()
	s := tls.Server(server, config)
	c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- c.Handshake() }()
	require.NoError(t, s.Handshake())
	require.NoError(t, <-shaken)
	return s, c
}

// A readResult is what a Read has returned, and when.
type readResult struct {
	text string
	err  error
	at   time.Time
}

// read reads from c on a goroutine of its own.
func read(c transport.Conn) <-chan readResult {
	done := make(chan readResult, 1)
	go func() {
		b := newTestBuffer()
		n, err := c.Read(b)
		done <- readResult{string(b.p[:n]), err, time.Now()}
	}()
	return done
}

// assertTook asserts how long it is since start, on the fake clock.
func assertTook(t *testing.T, want time.Duration, start time.Time) {
	t.Helper()
	assert.Equal(t, want, time.Since(start), "how long it took")
}

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

const (
	chaosClients = 1000
	survivors    = 8
)

// TestChaos hosts a room in a process of its own, and lets a thousand clients
// behave badly in it: they are cut off, reset, stall, flood, send garbage, trickle
// and stay silent. Some behave, and must have received everything, in one order.
// Afterwards the process has the descriptors, memory and goroutines that it had.
// It takes a minute, and a few seconds with -short.
func TestChaos(t *testing.T) {
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	clients, wave := chaosClients, 30*time.Second
	if testing.Short() {
		clients, wave = 100, time.Second
	}
	if files.Cur < uint64(clients)+200 {
		t.Skipf("needs %d open files, the limit is %d", clients+200, files.Cur)
	}
	binary := builtProgram(t)

	t.Run("goes back to where it began", func(t *testing.T) {
		p := startProcess(t, binary)
		began := p.files()
		chaos(t, p, clients, wave, rand.Uint64())
		p.awaitFiles(began)
		first := p.resident()
		chaos(t, p, clients, wave, rand.Uint64())
		p.awaitFiles(began)
		second := p.awaitResident(first + first/4 + 16<<20)
		t.Logf("resident: %d MiB after the first wave, %d MiB after the second", first>>20, second>>20)

		// Those who are there when it is told to end find the end of the stream,
		// members or not.
		conns := make([]net.Conn, 50)
		for i := range conns {
			conns[i] = joinChaos(t, p.addr, fmt.Sprint("late ", i))
		}
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		for _, nc := range conns {
			_, err := io.Copy(io.Discard, nc)
			if !errors.Is(err, syscall.ECONNRESET) { // its name has not been read yet
				assert.NoError(t, err)
			}
			_ = nc.Close()
		}
		assert.NoError(t, p.wait(), "exit status; it said:\n%s", &p.stderr)
	})
	t.Run("leaves no goroutine", func(t *testing.T) {
		p := startProcess(t, binary)
		began := p.files()
		chaos(t, p, clients/10, wave/10, rand.Uint64())
		p.awaitFiles(began)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGQUIT)) // prints all stacks
		assert.Error(t, p.wait())
		stacks := p.stderr.String()
		require.Contains(t, stacks, "SIGQUIT")
		for _, goroutine := range strings.Split(stacks, "\n\n") {
			if strings.Contains(goroutine, ".(*session).") || strings.Contains(goroutine, ".(*room).") {
				assert.Fail(t, "a goroutine is left", "%s", goroutine)
			}
		}
		if !strings.Contains(stacks, ".(*Server).Serve(") { // Contains would print them all
			assert.Fail(t, "these are not the server's stacks")
		}
	})
}

// chaos lets clients misbehave for as long as d, and checks what the survivors
// received.
func chaos(t *testing.T, p *process, clients int, d time.Duration, seed uint64) {
	t.Helper()
	t.Logf("seed %d", seed)
	var witnesses [survivors]*witness
	for i := range witnesses {
		witnesses[i] = newWitness(t, p.addr, i)
	}
	var all sync.WaitGroup
	stop := make(chan struct{})
	for _, w := range witnesses {
		all.Go(func() { w.listen() })
		all.Go(func() { w.talk(stop) })
	}
	for _, w := range witnesses {
		<-w.complete
	}
	deadline := time.Now().Add(d)
	var lives atomic.Int64
	var chaotic sync.WaitGroup
	for i := range clients {
		chaotic.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for time.Now().Before(deadline) {
				misbehave(p.addr, rng, lives.Add(1), deadline)
			}
		})
	}
	chaotic.Wait()
	close(stop)
	all.Wait()
	var failures []string
	for i, w := range witnesses {
		if w.failure != "" {
			failures = append(failures, fmt.Sprintf("survivor %d: %s", i, w.failure))
		}
	}
	if len(failures) > 0 {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints all stacks
		_ = p.wait()
		_, stacks, _ := strings.Cut(p.stderr.String(), "SIGQUIT")
		require.Fail(t, strings.Join(failures, "\n"), "%s\n%s", p.left, stacks)
	}
	for i, w := range witnesses {
		next := witnesses[(i+1)%survivors]
		ours, theirs := w.without(next.number), next.without(i)
		both := min(len(ours), len(theirs)) // one may have joined before the other
		require.NotZero(t, both)
		require.Equal(t, ours[len(ours)-both:], theirs[len(theirs)-both:], "survivors %d and %d disagree on the order", i, next.number)
	}
	for _, w := range witnesses {
		_ = w.nc.Close()
	}
	t.Logf("%d lives", lives.Load())
}

// misbehave lives one life in the room. Most of them read, for a room goes at the
// pace of its middle member.
func misbehave(addr string, rng *rand.Rand, life int64, deadline time.Time) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return // too many at once
	}
	tcp := nc.(*net.TCPConn)
	defer tcp.Close()
	_ = tcp.SetDeadline(deadline) // the least that a life may be is cut short
	name := fmt.Sprint("client ", life)
	hello := chatroom.AppendFrame(nil, []byte(name))
	message := func(n, size int) []byte {
		return chatroom.AppendFrame(nil, fmt.Appendf(nil, "%d of %s|%s", n, name, bytes.Repeat([]byte{'.'}, size)))
	}
	kind := rng.IntN(20)
	if kind == 0 { // silence
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		return
	}
	if kind == 1 { // half a name
		_, _ = tcp.Write(hello[:rng.IntN(len(hello))])
		return
	}
	if _, err := tcp.Write(hello); err != nil {
		return
	}
	stalls := kind == 2
	if stalls {
		_ = tcp.SetReadBuffer(4096)
		defer time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
	} else {
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			_, _ = io.Copy(io.Discard, tcp)
		}()
		defer func() { _ = tcp.Close(); <-reading }()
	}
	sent := rng.IntN(4)
	for n := range sent {
		if _, err := tcp.Write(message(n, rng.IntN(200))); err != nil {
			return
		}
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
	}
	switch last := message(sent, 100); kind {
	case 3, 4, 5: // cut off in the middle of a frame
		_, _ = tcp.Write(last[:rng.IntN(len(last))])
	case 6, 7, 8:
		_ = tcp.SetLinger(0) // a reset
	case 9, 10:
		_, _ = tcp.Write([]byte("GET / HTTP/1.1\r\nHost: chat\r\n\r\n"))
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
	case 11: // trickle
		for _, b := range last[:20] {
			_, _ = tcp.Write([]byte{b})
			time.Sleep(time.Millisecond)
		}
	case 12:
		_, _ = tcp.Write([]byte("9999999999"))
	case 13: // half-close, and read on for a while
		_ = tcp.CloseWrite()
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
	case 14:
		if rng.IntN(10) > 0 {
			return // a flood goes to everybody
		}
		for n := range 300 {
			if _, err := tcp.Write(message(sent+n, 300)); err != nil {
				return
			}
		}
	}
}

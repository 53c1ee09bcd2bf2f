//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	binary := filepath.Join(t.TempDir(), "chatroom")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

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

// A process is the program, hosting a room.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	addr   string
	stderr bytes.Buffer // valid once ended is closed, as are those below
	left   []string
	ended  chan struct{}
	status error
}

func startProcess(t testing.TB, binary string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, "serve", "-addr", "127.0.0.1:0"), ended: make(chan struct{})}
	// A limit has the runtime give back early what it does not need.
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=all", "GOMEMLIMIT=32MiB")
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	_, addr, ok := strings.Cut(strings.TrimSpace(first), " addr=")
	require.True(t, ok, "it said %q", first)
	p.addr = addr
	go func() { // ends with the process
		defer close(p.ended)
		p.keepEnd(lines)
		p.status = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has mostly ended
		<-p.ended
	})
	return p
}

// keepEnd reads r to its end and keeps the last of it, for the log is long, and
// the lines that say why a survivor left.
func (p *process) keepEnd(r *bufio.Reader) {
	const most = 1 << 20
	for {
		line, err := r.ReadSlice('\n')
		if bytes.Contains(line, []byte("msg=left")) && bytes.Contains(line, []byte("survivor")) {
			p.left = append(p.left, string(line))
		}
		p.stderr.Write(line)
		if p.stderr.Len() > 2*most {
			p.stderr.Next(p.stderr.Len() - most)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

// wait returns how the process ended.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.status
	case <-time.After(3 * patience / 2): // shutdownTimeout and more
		require.FailNow(p.t, "the program does not end")
		panic("unreachable")
	}
}

// files returns how many descriptors the process has open.
func (p *process) files() int {
	p.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	return len(open)
}

// awaitFiles waits until the process has no more than n descriptors open.
func (p *process) awaitFiles(n int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); p.files() > n; time.Sleep(10 * time.Millisecond) {
		require.True(p.t, time.Now().Before(deadline), "%d descriptors are open, there were %d", p.files(), n)
	}
}

// resident returns the process's resident memory in bytes.
func (p *process) resident() int {
	p.t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	require.NoError(p.t, err)
	return pages * os.Getpagesize()
}

// awaitResident waits until the process's resident memory is no more than limit,
// and returns it.
func (p *process) awaitResident(limit int) int {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		n := p.resident()
		if n <= limit {
			return n
		}
		require.True(p.t, time.Now().Before(deadline), "%d MiB are resident, want %d at most", n>>20, limit>>20)
	}
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

//go:build unix

package chatroom_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.com/chatroom"
)

// serverProcessEnv makes the test binary a server: see runServerProcess.
const serverProcessEnv = "CHATROOM_TEST_SERVER"

func init() {
	if os.Getenv(serverProcessEnv) != "" {
		runServerProcess()
		os.Exit(0)
	}
}

// processFigures is what a server process tells of itself.
type processFigures struct {
	CPU      int64 // user and system time in nanoseconds
	Resident int64 // bytes, after a collection when that was asked for
	Members  int
}

// runServerProcess serves a room on loopback. It prints its address, and for
// each line of standard input its figures, until the input ends.
func runServerProcess() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := chatroom.NewServer()
	go func() { _ = s.Serve(l) }()
	fmt.Println(l.Addr())
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		figures := processFigures{Members: s.Stats().Members}
		if in.Text() == "collect" {
			runtime.GC()
			debug.FreeOSMemory()
			figures.Resident = resident()
		}
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			panic(err)
		}
		figures.CPU = usage.Utime.Nano() + usage.Stime.Nano()
		if err := out.Encode(figures); err != nil {
			panic(err)
		}
	}
}

// resident returns the resident memory in bytes where /proc tells it, and what
// the Go runtime has from the system elsewhere.
func resident() int64 {
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			if pages, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// newServerProcess starts a server in a process of its own, so that its costs
// can be told from the load's, and returns its address and a function that asks
// for its figures.
func newServerProcess(b *testing.B) (addr string, ask func(question string) processFigures) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverProcessEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	addr, err = lines.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	answers := json.NewDecoder(lines)
	return strings.TrimSpace(addr), func(question string) (f processFigures) {
		if _, err := fmt.Fprintln(in, question); err != nil {
			b.Fatal(err)
		}
		if err := answers.Decode(&f); err != nil {
			b.Fatal(err)
		}
		return f
	}
}

// BenchmarkServerCPU measures what a delivery costs the server's process: ten
// members send windows of 128-byte messages in a closed loop, over TCP on
// loopback. An operation is one window of each sender.
func BenchmarkServerCPU(b *testing.B) {
	const senders = 10
	for _, window := range []int{1, 64} {
		for _, members := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("window=%d/members=%d", window, members), func(b *testing.B) {
				addr, ask := newServerProcess(b)
				var conns []net.Conn
				wait := joinCounting(b, members, func() (net.Conn, error) {
					nc, err := net.Dial("tcp", addr)
					conns = append(conns, nc)
					return nc, err
				}, func() int { return ask("").Members })

				// Names are numbers of one digit for all senders.
				body := make([]byte, 128)
				unit := int64(len(message("0", string(body))))
				var burst []byte
				for range window {
					burst = chatroom.AppendFrame(burst, body)
				}
				// A sender hears the nine others, everybody else all ten.
				owed := func(i int) int64 {
					if i < senders {
						return (senders - 1) * int64(window) * unit
					}
					return senders * int64(window) * unit
				}
				round := func() {
					for _, nc := range conns[:senders] {
						go func() {
							if _, err := nc.Write(burst); err != nil {
								b.Error(err)
							}
						}()
					}
					wait(owed)
				}
				for range 20 {
					round()
				}
				before := ask("").CPU
				b.ResetTimer()
				for range b.N {
					round()
				}
				b.StopTimer()
				deliveries := b.N * window * senders * (members - 1)
				b.ReportMetric(float64(ask("").CPU-before)/float64(deliveries), "server-ns/delivery")
			})
		}
	}
}

// BenchmarkIdleMembers measures the resident memory of a server's process for
// each of many idle TCP connections.
func BenchmarkIdleMembers(b *testing.B) {
	const members = 10_000
	addr, ask := newServerProcess(b)
	before := ask("collect").Resident
	name := chatroom.AppendFrame(nil, []byte("an idle member"))
	for range members {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			b.Skipf("needs %d open files: %v", members, err)
		}
		defer nc.Close()
		if _, err := nc.Write(name); err != nil {
			b.Fatal(err)
		}
	}
	for ask("").Members < members {
		runtime.Gosched() // the last names are still on their way
	}
	for b.Loop() {
		_ = ask("collect")
	}
	b.ReportMetric(float64(ask("collect").Resident-before)/members, "B/member")
}

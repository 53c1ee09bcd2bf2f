//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

var growthScenario = &scenario{
	name:    "growth",
	title:   "Growth of a room",
	text:    fmt.Sprintf("The closed loop with windows of %d messages: what a delivery costs as the room grows.", growthWindow),
	only:    "chatroom,floor",
	columns: growthColumns(),
	figures: []figure{perDelivery, {title: "Peak memory", unit: "MiB"}},
}

const growthWindow = 64

func growthColumns() (columns []column) {
	for _, members := range []int{10, 100, 1000, 10_000} {
		columns = append(columns, column{
			label:   thousands(float64(members)) + " members",
			members: members,
			run: func(p *peer, s settings) ([]float64, error) {
				figures, err := runClosed(p, s, 1, max(members/s.scale, senders), growthWindow)
				return pick(figures, err, 0, 2)
			},
		})
	}
	return columns
}

var roomsScenario = &scenario{
	name:    "rooms",
	title:   "Growth of a process",
	text:    "Servers in one process, each with a room of 10 members in a closed loop of windows of 64.",
	only:    "chatroom",
	columns: roomsColumns(),
	figures: []figure{perDelivery, {title: "Peak memory", unit: "MiB"}},
}

func roomsColumns() (columns []column) {
	for _, rooms := range []int{1, 10, 100, 1000} {
		columns = append(columns, column{
			label:   thousands(float64(rooms)) + " rooms",
			members: senders,
			run: func(p *peer, s settings) ([]float64, error) {
				figures, err := runClosed(p, s, max(rooms/s.scale, 1), senders, 64)
				return pick(figures, err, 0, 2)
			},
		})
	}
	return columns
}

func pick(figures []float64, err error, which ...int) ([]float64, error) {
	if err != nil {
		return nil, err
	}
	picked := make([]float64, len(which))
	for i, w := range which {
		picked[i] = figures[w]
	}
	return picked, nil
}

const memoryMembers = 100_000

var memoryScenario = &scenario{
	name:    "memory",
	title:   "Members in memory",
	text:    "A room and its members in one process, over connections in memory: both ends count.",
	only:    "chatroom",
	columns: []column{{label: thousands(memoryMembers) + " members", run: runInMemory}},
	figures: []figure{
		{title: "Memory per member, both ends", unit: "KiB"},
		{title: "CPU per delivery, both ends", unit: "ns"},
	},
}

func runInMemory(_ *peer, s settings) ([]float64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "memory", strconv.Itoa(memoryMembers/s.scale), s.duration.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var figures []float64
	return figures, json.Unmarshal(out, &figures)
}

// memoryProcess is the other side of runInMemory.
func memoryProcess(count, duration string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	before := heap()
	var joined sync.WaitGroup
	joined.Add(n)
	room := chatroom.NewServer(chatroom.WithOnJoin(func(context.Context, chatroom.Member) { joined.Done() }))
	l := chatroomtest.NewListener()
	go func() { fmt.Fprintln(os.Stderr, "bench: server ended:", room.Serve(l)) }()
	got := tally{reached: make(chan struct{})}
	for i := range n {
		nc, err := l.DialContext(context.Background(), "", "")
		if err != nil {
			return err
		}
		if _, err := nc.Write(chatroom.AppendFrame(nil, fmt.Appendf(nil, "m%05d", i))); err != nil {
			return err
		}
		go got.count(nc)
	}
	joined.Wait()
	memory := float64(heap()-before) / float64(n) / 1024

	const burst = 100
	body := make([]byte, payloadLen)
	unit := int64(len(chatroom.AppendFrame(nil, []byte("sender"))) + len(chatroom.AppendFrame(nil, body)))
	var deliveries int64
	start, cpu := time.Now(), ownCPU()
	for deliveries == 0 || time.Since(start) < d {
		got.want.Add(burst * int64(n) * unit)
		for range burst {
			if err := room.Broadcast(context.Background(), "sender", body); err != nil {
				return err
			}
		}
		deliveries += burst * int64(n)
		<-got.reached
	}
	cpu = ownCPU() - cpu
	if got, want := got.bytes.Load(), got.want.Load(); got != want {
		return fmt.Errorf("%d bytes delivered, want %d", got, want)
	}
	return json.NewEncoder(os.Stdout).Encode([]float64{memory, float64(cpu.Nanoseconds()) / float64(deliveries)})
}

// heap returns the bytes that the Go runtime has in use, after a collection.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// A tally counts the bytes that all members together have received. want is
// raised before more is sent. reached is signalled when bytes has come up to
// want.
type tally struct {
	bytes, want atomic.Int64
	reached     chan struct{}
}

// count reads nc to its end.
func (t *tally) count(nc net.Conn) {
	var buf [4096]byte
	for {
		n, err := nc.Read(buf[:])
		if n > 0 && t.bytes.Add(int64(n)) == t.want.Load() {
			t.reached <- struct{}{}
		}
		if err != nil {
			return
		}
	}
}

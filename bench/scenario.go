//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const senders = 10

// A scenario is one way to load every peer.
type scenario struct {
	name    string // as in -scenario
	title   string // of its tables
	text    string // what is done
	only    string // the peers it is for, or empty
	apart   bool   // it is run only if it is named
	columns []column
	figures []figure
	notes   func(b *strings.Builder, peers []*peer) // writes what is to be known beside the tables; may be nil
}

// A column is one setting of a scenario.
type column struct {
	label   string
	members int // the most connections to one server
	quick   bool
	chart   string                                       // the file name of its chart of the first figure; empty for no chart
	run     func(p *peer, s settings) ([]float64, error) // a value for each of the scenario's figures
}

// A figure is what a table shows.
type figure struct {
	title string
	unit  string
	more  bool // more is better
}

// Settings say how long to measure.
type settings struct {
	duration time.Duration // of one measurement
	scale    int           // divides the largest numbers of members
}

var perDelivery = figure{title: "Server CPU per delivery", unit: "ns"}

var scenarios = []*scenario{
	closedScenario,
	openScenario,
	idleScenario,
	stalledScenario,
	joinScenario,
	growthScenario,
	roomsScenario,
	memoryScenario,
	clusterScenario,
	failuresScenario,
}

var closedScenario = &scenario{
	name:    "closed",
	title:   "Closed loop",
	text:    fmt.Sprintf("%d members send windows of %d-byte messages; the next window is sent when all of the last has been delivered.", senders, payloadLen),
	columns: closedColumns(),
	figures: []figure{
		perDelivery,
		{title: "Deliveries per second", unit: "/s", more: true},
		{title: "Peak memory", unit: "MiB"},
		{title: "The load's share of all CPU time", unit: "%"},
	},
}

func closedColumns() (columns []column) {
	for _, window := range []int{64, 1} {
		for _, members := range []int{10, 100, 1000} {
			columns = append(columns, column{
				label:   fmt.Sprintf("window %d, %s members", window, thousands(float64(members))),
				members: members,
				quick:   members == 100 || members == 1000 && window == 64,
				chart:   map[[2]int]string{{64, 100}: "window-64", {1, 100}: "window-1"}[[2]int{window, members}],
				run: func(p *peer, s settings) ([]float64, error) {
					return runClosed(p, s, 1, members, window)
				},
			})
		}
	}
	return columns
}

// runClosed measures a closed loop in each of that many rooms.
func runClosed(p *peer, s settings, rooms, members, window int) ([]float64, error) {
	server, l, inRooms, err := startRooms(p, rooms, members)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	defer l.close()
	loop := newClosedLoop(l, inRooms, min(senders, members), window)
	if _, _, err := loop.run(s.duration / 4); err != nil { // to warm up
		return nil, err
	}
	cpu, own := server.cpu(), ownCPU()
	n, took, err := loop.run(s.duration)
	if err != nil {
		return nil, err
	}
	cpu, own = server.cpu()-cpu, ownCPU()-own
	if err := l.verify(); err != nil {
		return nil, err
	}
	peak, err := server.memory("VmHWM:")
	return []float64{
		float64(cpu.Nanoseconds()) / float64(n),
		float64(n) / took.Seconds(),
		float64(peak) / (1 << 20),
		100 * own.Seconds() / (own + cpu).Seconds(),
	}, err
}

// startRooms starts a server with that many rooms and fills each of them.
func startRooms(p *peer, rooms, members int) (*process, *load, [][]*member, error) {
	server, err := startServer(p, rooms)
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := newEmptyLoad()
	if err != nil {
		server.stop()
		return nil, nil, nil, err
	}
	var inRooms [][]*member
	for _, addr := range server.addrs {
		if _, err := l.join(p, addr, members); err != nil {
			server.stop()
			l.close()
			return nil, nil, nil, err
		}
		inRooms = append(inRooms, l.members[len(l.members)-members:])
	}
	return server, l, inRooms, nil
}

const idleMembers = 10_000

var idleScenario = &scenario{
	name:    "idle",
	title:   "Idle members",
	text:    "Resident memory for each member of a room that has fallen silent, after a collection.",
	columns: []column{{label: thousands(idleMembers) + " members", members: idleMembers, chart: "idle", run: runIdle}},
	figures: []figure{{title: "Memory per member", unit: "KiB"}},
}

func runIdle(p *peer, s settings) ([]float64, error) {
	server, err := startServer(p, 1)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	before, err := server.collect()
	if err != nil {
		return nil, err
	}
	n := idleMembers / s.scale
	l, _, err := newLoad(p, server.addrs[0], n)
	if err != nil {
		return nil, err
	}
	defer l.close()
	after, err := server.collect()
	return []float64{float64(after-before) / float64(n) / 1024}, err
}

const (
	stalledMembers = 100

	// stalledBytes is more than the sockets of a connection hold.
	stalledBytes = 8 << 20

	// stalledLimit is how long nobody may receive anything before the server
	// counts as stopped.
	stalledLimit = 5 * time.Second
)

var stalledScenario = &scenario{
	name:    "stalled",
	title:   "One member that never reads",
	text:    fmt.Sprintf("The closed loop of %d members with windows of 64, without and with one more that has stopped reading; its sockets are full before the measurement begins.", stalledMembers),
	columns: []column{{label: fmt.Sprintf("%d members", stalledMembers), members: stalledMembers + 1, run: runStalled}},
	figures: []figure{
		{title: "Throughput with it, of that without", more: true},
		{title: "Deliveries per second with it", unit: "/s", more: true},
		{title: "Peak memory", unit: "MiB"},
	},
}

func runStalled(p *peer, s settings) ([]float64, error) {
	alone, err := runClosed(p, s, 1, stalledMembers, 64)
	if err != nil {
		return nil, err
	}
	without := alone[1]

	// With few members, filling its sockets is cheap.
	server, l, _, err := startRooms(p, 1, 2)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	defer l.close()
	nc, err := dial(server.addrs[0], 4096)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(nc.fd) }()
	w := p.newWire(stalledMembers)
	if err := w.enter(nc); err != nil {
		return nil, err
	}
	with, err := runBesideStalled(p, s, server, l)
	if err == errStuck {
		with, err = 0, nil
	}
	if err != nil {
		return nil, err
	}
	peak, err := server.memory("VmHWM:")
	return []float64{with / without, with, float64(peak) / (1 << 20)}, err
}

// runBesideStalled returns how many deliveries per second the members that read
// receive, beside one that does not.
func runBesideStalled(p *peer, s settings, server *process, l *load) (float64, error) {
	fill := newClosedLoop(l, [][]*member{l.members}, 1, 64)
	fill.limit = stalledLimit
	for sent := 0; sent < stalledBytes/s.scale; sent += 64 * payloadLen {
		if err := fill.round(); err != nil {
			return 0, err
		}
	}
	if _, err := l.join(p, server.addrs[0], stalledMembers-2); err != nil {
		return 0, err
	}
	loop := newClosedLoop(l, [][]*member{l.members}, senders, 64)
	loop.limit = stalledLimit
	if _, _, err := loop.run(s.duration / 4); err != nil { // to warm up
		return 0, err
	}
	n, took, err := loop.run(s.duration)
	return float64(n) / took.Seconds(), err
}

const joiners = 2000

var joinScenario = &scenario{
	name:    "join",
	title:   "Joins",
	text:    fmt.Sprintf("%s members join an empty room, %d at a time, until each has proved to be in by receiving a message.", thousands(joiners), dialers),
	columns: []column{{label: thousands(joiners) + " joins", members: joiners, quick: true, run: runJoin}},
	figures: []figure{
		{title: "Joins per second", unit: "/s", more: true},
		{title: "Server CPU per join", unit: "µs"},
	},
}

func runJoin(p *peer, s settings) ([]float64, error) {
	server, err := startServer(p, 1)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	n := joiners / s.scale
	cpu := server.cpu()
	l, took, err := newLoad(p, server.addrs[0], n)
	if err != nil {
		return nil, err
	}
	defer l.close()
	cpu = server.cpu() - cpu
	return []float64{float64(n) / took.Seconds(), float64(cpu.Microseconds()) / float64(n)}, nil
}

//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// sharedGroups is how many groups the members of a shared room are in. The members of one
	// are on one server; several groups may be.
	sharedGroups = 3

	groupMembers   = 100
	groupSenders   = 4
	groupObservers = 4

	// sharedQuiet is for how long nothing may arrive before a shared room counts as at rest.
	sharedQuiet = 300 * time.Millisecond
)

var clusterScenario = &scenario{
	name:  "cluster",
	title: "Servers that share a room",
	text: fmt.Sprintf("%d members in %d groups, each of which is on one server, in a closed loop: %d of each group send windows of %d-byte messages. "+
		"In each round, one group's messages carry the time. Latency is from then to the delivery to %d members of each other group, so to another server if there are several; it includes the load's own part. "+
		"The engine is %d servers of nats-server%s, each a process of its own on the same machine.",
		sharedGroups*groupMembers, sharedGroups, groupSenders, payloadLen, groupObservers, engineServers, version(engineModule)),
	only:    sharingNames(),
	apart:   true,
	columns: clusterColumns(),
	figures: []figure{
		{title: "Messages per second", unit: "/s", more: true},
		{title: "The chat servers' CPU per delivery", unit: "ns"},
		{title: "The engine's CPU per message", unit: "µs"},
		{title: "Latency, p50", unit: "ms"},
		{title: "Latency, p99", unit: "ms"},
		{title: "The load's share of all CPU time", unit: "%"},
	},
	notes: writePromises,
}

func sharingNames() string {
	names := make([]string, len(sharingPeers))
	for i, p := range sharingPeers {
		names[i] = p.name
	}
	return strings.Join(names, ",")
}

func clusterColumns() (columns []column) {
	for _, window := range []int{64, 1} {
		columns = append(columns, column{
			label:   fmt.Sprintf("window %d", window),
			members: sharedGroups * groupMembers,
			quick:   true,
			run:     func(p *peer, s settings) ([]float64, error) { return runCluster(p, s, window) },
		})
	}
	return columns
}

// writePromises writes what the peers promise.
func writePromises(b *strings.Builder, peers []*peer) {
	b.WriteString("\nWhat each promises:\n\n| | order | loss | repeats |\n|---|---|---|---|\n")
	for _, p := range peers {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", p.name, p.sharing.order, p.sharing.loss, p.sharing.repeats)
	}
}

func runCluster(p *peer, s settings, window int) ([]float64, error) {
	room, err := startShared(p)
	if err != nil {
		return nil, err
	}
	defer room.stop()
	l, err := fillShared(p, room, groupMembers/s.scale)
	if err != nil {
		return nil, err
	}
	defer l.close()
	loop := newSharedLoop(l, window)
	if _, _, err := loop.run(s.duration / 4); err != nil { // to warm up
		return nil, err
	}
	var latencies []time.Duration
	l.stamps = func(m *member, d time.Duration) {
		if m.group != loop.stamping() && d >= 0 {
			latencies = append(latencies, d)
		}
	}
	servers, engine := room.cpu()
	own := ownCPU().Seconds()
	n, took, err := loop.run(s.duration)
	if err != nil {
		return nil, err
	}
	serversNow, engineNow := room.cpu()
	servers, engine, own = serversNow-servers, engineNow-engine, ownCPU().Seconds()-own
	l.stamps = nil
	if err := l.verify(); err != nil {
		return nil, err
	}
	messages := float64(loop.rounds * len(loop.bursts) * window)
	perMessage := engine * 1e6 / messages
	if len(room.servers) == 0 || room.engine == nil {
		perMessage = math.NaN() // nobody is engine beside the servers
	}
	slices.Sort(latencies)
	return []float64{
		messages / took.Seconds(),
		servers * 1e9 / float64(n),
		perMessage,
		quantile(latencies, 0.5),
		quantile(latencies, 0.99),
		100 * own / (own + servers + engine),
	}, nil
}

// fillShared has so many members of each group join the room. The members of a group come one
// after the other, its senders first.
func fillShared(p *peer, room *sharedRoom, members int) (*load, error) {
	l, err := newEmptyLoad()
	if err != nil {
		return nil, err
	}
	l.quiet = sharedQuiet
	for g := range sharedGroups {
		if _, err = l.join(p, room.addrs[g%len(room.addrs)], members); err != nil {
			break
		}
		for i, m := range l.members[len(l.members)-members:] {
			m.group = g
			m.observed = i >= groupSenders && i < groupSenders+groupObservers
		}
	}
	for g := 0; g < sharedGroups && err == nil; g++ {
		_, err = l.probe(append(slices.Clone(l.members[g*members:]), l.members[:g*members]...))
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// A sharedLoop is a closed loop in a shared room.
type sharedLoop struct {
	*closedLoop
	senders []*member
	rounds  int // that have begun since run was called
	payload []byte
	stamped []byte // the burst that next has returned last
}

// newSharedLoop returns the loop of a load from fillShared.
func newSharedLoop(l *load, window int) *sharedLoop {
	var senders, others []*member
	count := make([]int, sharedGroups)
	for _, m := range l.members {
		if count[m.group] < groupSenders {
			senders = append(senders, m)
		} else {
			others = append(others, m)
		}
		count[m.group]++
	}
	loop := &sharedLoop{
		closedLoop: newClosedLoop(l, [][]*member{append(slices.Clone(senders), others...)}, len(senders), window),
		senders:    senders,
		payload:    newPayload(),
	}
	loop.burst = loop.next
	return loop
}

// run is that of the closed loop, and counts rounds anew.
func (s *sharedLoop) run(d time.Duration) (deliveries int, took time.Duration, err error) {
	s.rounds = 0
	return s.closedLoop.run(d)
}

// stamping returns the group whose messages carry the time in this round.
func (s *sharedLoop) stamping() int { return s.rounds % sharedGroups }

// next returns the i-th sender's next burst. If its group is stamping, that carries the time.
func (s *sharedLoop) next(i int) []byte {
	if i == 0 {
		s.rounds++
	}
	if s.senders[i].group != s.stamping() {
		return s.bursts[i]
	}
	appendStamp(s.payload[:0], time.Now())
	s.stamped = s.stamped[:0]
	for range s.window {
		s.stamped = append(s.stamped, s.senders[i].encode(s.payload)...)
	}
	return s.stamped
}

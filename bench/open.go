//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	openMembers = 200
	openRate    = 200 // messages a second
)

var openScenario = &scenario{
	name:    "open",
	title:   "Open loop",
	text:    fmt.Sprintf("%d members, %d messages a second on a fixed schedule, so %s deliveries a second. Latency counts from when a message was due, to when a member had read it.", openMembers, openRate, thousands(openRate*(openMembers-1))),
	columns: []column{{label: fmt.Sprintf("%d members", openMembers), members: openMembers, quick: true, run: runOpen}},
	figures: []figure{
		{title: "p50", unit: "ms"}, {title: "p99", unit: "ms"}, {title: "p99.9", unit: "ms"}, {title: "maximum", unit: "ms"},
		perDelivery,
	},
}

func runOpen(p *peer, s settings) ([]float64, error) {
	server, l, _, err := startRooms(p, 1, openMembers)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	defer l.close()
	if _, err := openLoop(l, s.duration/2); err != nil { // to warm up
		return nil, err
	}
	var latencies []time.Duration
	for i, m := range l.members {
		m.observed = i >= senders || m.receipt == 0
	}
	cpu := server.cpu()
	l.stamps = func(_ *member, d time.Duration) { latencies = append(latencies, d) }
	deliveries, err := openLoop(l, 2*s.duration)
	if err != nil {
		return nil, err
	}
	cpu = server.cpu() - cpu
	l.stamps = nil
	slices.Sort(latencies)
	return []float64{
		quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 0.999), quantile(latencies, 1),
		float64(cpu.Nanoseconds()) / float64(deliveries),
	}, nil
}

// quantile returns the latency, in milliseconds, that a part q of the sorted ones do not exceed, or
// NaN if there is none.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Nanoseconds()) / 1e6
}

// openLoop sends at openRate for as long as d, then waits for what was sent. It returns how many
// deliveries that was.
func openLoop(l *load, d time.Duration) (deliveries int, err error) {
	const interval = time.Second / openRate
	if err := l.startTicker(interval); err != nil {
		return 0, err
	}
	defer l.stopTicker()
	payload := newPayload()
	start := time.Now()
	for sent := 0; ; {
		due := start.Add(time.Duration(sent+1) * interval)
		if due.Sub(start) > d {
			break
		}
		if time.Now().Before(due) {
			if err := l.poll(time.Second); err != nil {
				return 0, err
			}
			continue
		}
		sender := l.members[sent%senders]
		for _, m := range l.members {
			if m != sender || m.echo {
				m.want += int64(m.delivery)
				deliveries++
			}
		}
		sender.want += int64(sender.receipt)
		appendStamp(payload[:0], due)
		if err := l.send(sender, sender.encode(payload)); err != nil {
			return 0, err
		}
		sent++
	}
	l.countMissing(l.members)
	if err := l.await(patience); err != nil {
		return 0, err
	}
	return deliveries, l.verify()
}

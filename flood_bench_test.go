//go:build unix

package chatroom_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/chatroom"
)

// BenchmarkFlood measures how fast one member can talk to 20 that read whenever
// they can. An operation is a message of 1 KiB to all.
func BenchmarkFlood(b *testing.B) {
	const readers = 20
	for _, network := range systemNetworks {
		for _, backlog := range []int{1 << 20, chatroom.DefaultBacklog} {
			b.Run(fmt.Sprintf("%s/readers=%d/backlog=%s", network, readers, byteSize(backlog)), func(b *testing.B) {
				r := newFloodRoom(b, listenSystem(b, network), chatroom.WithBacklog(backlog))
				read := r.joinReaders(equalRates(readers, eager), defaultReceive)
				b.SetBytes(int64(readers * floodUnit))
				b.ResetTimer()
				r.flood(b.N, read)
			})
		}
	}
}

// BenchmarkBroadcastLoop is BenchmarkFlood for a program that talks.
func BenchmarkBroadcastLoop(b *testing.B) {
	const readers = 20
	for _, backlog := range []int{1 << 20, chatroom.DefaultBacklog} {
		b.Run(fmt.Sprintf("readers=%d/backlog=%s", readers, byteSize(backlog)), func(b *testing.B) {
			r := newFloodRoom(b, listenTCP(b), chatroom.WithBacklog(backlog))
			read := r.joinReaders(equalRates(readers, eager), defaultReceive)
			b.SetBytes(int64(readers * floodUnit))
			b.ResetTimer()
			r.floodAsProgram(b.N, read)
		})
	}
}

// BenchmarkNuisances measures what members that read too slowly, or not at all,
// cost the others. An operation floods a room with them and one without. The
// figure of-without is the others' throughput as a share of what it is without
// them; returns is how often they came back.
func BenchmarkNuisances(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	for _, c := range []struct {
		name      string
		honest    int
		rate      float64 // at which they read, in bytes a second
		seconds   float64 // that this takes without nuisances
		nuisances func(rate float64) []nuisance
	}{
		{"1 of 20 reads a tenth", 19, 10e6, 10, func(rate float64) []nuisance {
			return []nuisance{{"a tenth", rate / 10}}
		}},
		{"4 of 55 read too slowly", 51, 4e6, 15, tooSlow},
		{"16 of 26 never read", 10, 10e6, 25, func(float64) []nuisance { return silent(16) }},
		{"1 of 100 never reads", 99, 2e6, 15, func(float64) []nuisance { return silent(1) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			messages := int(c.rate*c.seconds) / floodUnit
			rates := equalRates(c.honest, c.rate)
			var without, with time.Duration
			returns := 0
			for b.Loop() {
				d, _ := floodOnce(b, messages, rates, nil)
				without += d
				d, n := floodOnce(b, messages, rates, c.nuisances(c.rate))
				with += d
				returns += n
			}
			b.ReportMetric(without.Seconds()/with.Seconds(), "of-without")
			b.ReportMetric(float64(returns)/float64(b.N), "returns")
			b.ReportMetric(float64(b.N*messages*floodUnit)/1e6/with.Seconds(), "MB/s")
		})
	}
}

// floodOnce floods a room, and returns how long that took and how many nuisances
// it put out.
func floodOnce(b *testing.B, messages int, rates []float64, nuisances []nuisance) (took time.Duration, evicted int) {
	b.Helper()
	r := newFloodRoom(b, listenTCP(b), chatroom.WithBacklog(1<<20))
	defer r.end()
	end := r.annoy(smallReceive, nuisances...)
	defer end()
	read := r.joinReaders(rates, defaultReceive)
	start := time.Now()
	r.flood(messages, read)
	took = time.Since(start)
	for _, n := range r.evictions() {
		evicted += n
	}
	return took, evicted
}

//go:build unix

package chatroom_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/chatroom"
)

// Twenty members read equally fast, give or take 30 percent: however long a member
// floods them, and whatever their sockets hold, nobody is evicted and nothing is
// lost.
func TestFloodOfEqualReaders(t *testing.T) {
	const readers, rate, share = 20, 4e6, 0.3
	for _, c := range []struct {
		network          string
		receive, backlog int
		long             bool // it adds little that would be seen soon
	}{
		{"tcp", smallReceive, 1 << 20, false},
		{"tcp", smallReceive, 2 << 20, true},
		{"tcp", smallReceive, 16 << 20, true},
		{"tcp", defaultReceive, 1 << 20, true},
		{"tcp", defaultReceive, 2 << 20, false},
		{"tcp", defaultReceive, 16 << 20, true},
		{"unix", defaultReceive, 1 << 20, false},
	} {
		t.Run(fmt.Sprintf("%s/receive=%s/backlog=%s", c.network, byteSize(c.receive), byteSize(c.backlog)), func(t *testing.T) {
			messages := 4 << 20 / floodUnit
			if *floodLong {
				messages = 64 * c.backlog / floodUnit
			}
			if c.long && !*floodLong {
				t.Skip("takes long, run it with -flood.long")
			}
			r := newFloodRoom(t, listenSystem(t, c.network), chatroom.WithBacklog(c.backlog))
			read := r.joinReaders(spreadRates(readers, rate, share), c.receive)
			r.flood(messages, read)
			assert.Empty(t, r.evictions())
		})
	}
}

// A program that broadcasts in a loop waits for its members as a member does.
func TestBroadcastLoop(t *testing.T) {
	const readers = 20
	for _, c := range []struct {
		network          string
		receive, backlog int
	}{
		{"tcp", smallReceive, 1 << 20},
		{"tcp", defaultReceive, 16 << 20},
		{"unix", defaultReceive, 1 << 20},
	} {
		t.Run(fmt.Sprintf("%s/receive=%s/backlog=%s", c.network, byteSize(c.receive), byteSize(c.backlog)), func(t *testing.T) {
			r := newFloodRoom(t, listenSystem(t, c.network), chatroom.WithBacklog(c.backlog))
			read := r.joinReaders(equalRates(readers, eager), c.receive)
			messages := c.backlog/floodUnit + 10_000
			if *floodLong {
				messages = 100_000
			}
			r.floodAsProgram(messages, read)
			assert.Empty(t, r.evictions())
		})
	}
}

// One of twenty reads ten times slower than the others: it alone is evicted.
func TestFloodEvictsTheFarSlower(t *testing.T) {
	const readers, rate, messages = 19, 4e6, 8 << 10
	for _, network := range systemNetworks {
		t.Run(network, func(t *testing.T) {
			r := newFloodRoom(t, listenSystem(t, network), chatroom.WithBacklog(1<<20))
			leaves := r.watchLeaves("slow")
			slow := &pacedConn{Conn: r.join(defaultReceive, "slow")[0], rate: rate / 10}
			read := r.joinReaders(equalRates(readers, rate), defaultReceive)
			while(func() { _, _ = io.Copy(io.Discard, slow) }, func() { r.flood(messages, read) })
			assert.ErrorIs(t, r.leave(leaves), chatroom.ErrSlowConsumer)
			assert.Equal(t, map[string]int{"slow": 1}, r.evictions())
		})
	}
}

// Some members read a little too slowly and come back whenever they are put out:
// that costs nobody else a place.
func TestFloodWithNuisances(t *testing.T) {
	const rate = 2e6
	for _, c := range []struct {
		name      string
		honest    int
		messages  int
		nuisances []nuisance
	}{
		{"4 of 55 too slow", 51, 3 << 10, tooSlow(rate)},
		{"1 of 100 never reads", 99, 3 << 10, silent(1)},
		{"16 of 26 never read", 10, 3 << 10, silent(16)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newFloodRoom(t, listenTCP(t), chatroom.WithBacklog(1<<20))
			end := r.annoy(smallReceive, c.nuisances...)
			read := r.joinReaders(equalRates(c.honest, rate), defaultReceive)
			messages := c.messages
			if *floodLong {
				messages *= 16
			}
			r.flood(messages, read)
			end()
			evicted := r.evictions()
			var stayed []string
			for _, n := range c.nuisances {
				if n.rate < rate/16 && evicted[n.name] == 0 { // no room waits for it
					stayed = append(stayed, n.name)
				}
				delete(evicted, n.name)
			}
			assert.Empty(t, stayed, "were never put out")
			assert.Empty(t, evicted, "honest members that were evicted")
		})
	}
}

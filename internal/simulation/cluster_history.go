package simulation

import (
	"fmt"
	"math/rand/v2"

	"example.com/chatroom"
)

// A clusterConfig is what the head of a cluster's history says.
type clusterConfig struct {
	servers    int
	backlog    int
	maxMessage int
	scale      int // of sizes
	rooms      int
	history    int
	kinds      []linkKind
	traits     linkTraits
}

func (h history) clusterConfig() clusterConfig {
	return clusterConfig{
		servers:    pick(h.at(0), 3, 2, 4, 2, 3, 5),
		backlog:    pick(h.at(1), 16<<10, 4<<10, 64<<10, 1<<10, chatroom.DefaultBacklog),
		maxMessage: pick(h.at(2), chatroom.DefaultMaxMessage, 1000),
		scale:      pick(h.at(3), 1, 4, 16),
		rooms:      pick(h.at(4), 1, 2),
		history:    pick(h.at(5), 0, 3, 0, 20, 200, 1),
		kinds: pick(h.at(6), []linkKind{streamLink}, []linkKind{polledLink}, []linkKind{layeredLink},
			[]linkKind{polledLink, polledLink, layeredLink, polledLink, streamLink}),
		traits: linkTraits{half: h.at(7)&1 != 0, buffer: pick(h.at(8), 64<<10, 4<<10, 500, 256<<10)},
	}
}

func (c clusterConfig) String() string {
	return fmt.Sprintf("%d servers, backlog %d, messages up to %d bytes; connections %v %+v; %d rooms, history %d",
		c.servers, c.backlog, c.maxMessage, c.kinds, c.traits, c.rooms, c.history)
}

// size returns the length of a message.
func (c clusterConfig) size(b byte) int {
	return min(pick(b, minBody, 20, 50, 100, 250)*c.scale, c.maxMessage)
}

// What a step of a cluster's history does. The step's byte a says on which server.
const (
	coJoin opcode = iota
	coSend
	coFlood
	coChorus
	coBroadcast
	coAddress
	coTell
	coKick
	coGoodbye
	coCut
	coStall
	coResume
	coSleep
	coCutOff
	coRestore
	coLose
	coRepeat
	coFar
	coNarrow
	coRefuse
	coAccept
	coShutdown
	coCrash
	coEnlist
	coCalm
	coFlush
	clusterOps
)

// A clusterShape says how often each operation comes in one kind of history.
type clusterShape struct {
	steps   int
	weights [clusterOps]int
}

var clusterShapes = []clusterShape{
	// Talk, near and far.
	{40, [clusterOps]int{coJoin: 5, coSend: 12, coChorus: 3, coBroadcast: 2, coAddress: 2, coTell: 2, coGoodbye: 1, coSleep: 3, coFar: 3, coFlush: 2}},
	// Servers that are cut off, or lose messages.
	{50, [clusterOps]int{coJoin: 5, coSend: 8, coChorus: 3, coFlood: 2, coBroadcast: 2, coAddress: 1, coSleep: 3, coCutOff: 5, coRestore: 5, coLose: 3, coRepeat: 3, coFar: 2, coNarrow: 2, coKick: 2, coCalm: 1}},
	// Floods, and members that do not keep up.
	{30, [clusterOps]int{coJoin: 5, coSend: 3, coFlood: 8, coStall: 4, coResume: 3, coSleep: 3, coNarrow: 2, coFar: 1, coBroadcast: 1, coTell: 1, coCalm: 1, coFlush: 1}},
	// Servers that come and go.
	{40, [clusterOps]int{coJoin: 7, coSend: 8, coChorus: 3, coBroadcast: 2, coFar: 3, coShutdown: 2, coCrash: 1, coEnlist: 3, coCutOff: 1, coRestore: 1, coSleep: 2, coNarrow: 1, coTell: 1}},
	// An order that takes nothing.
	{40, [clusterOps]int{coJoin: 6, coSend: 8, coChorus: 2, coBroadcast: 3, coAddress: 3, coTell: 2, coRefuse: 3, coAccept: 4, coFar: 1, coSleep: 2, coCutOff: 1, coRestore: 1}},
	// Everything.
	{60, [clusterOps]int{coJoin: 8, coSend: 8, coFlood: 2, coChorus: 2, coBroadcast: 2, coAddress: 2, coTell: 2, coKick: 2, coGoodbye: 3, coCut: 2, coStall: 2, coResume: 2, coSleep: 3, coCutOff: 2, coRestore: 2, coLose: 1, coRepeat: 1, coFar: 2, coNarrow: 1, coRefuse: 1, coAccept: 1, coShutdown: 1, coEnlist: 1, coCalm: 1, coFlush: 1}},
}

// newClusterHistory returns the history of a cluster that seed stands for.
func newClusterHistory(seed uint64) history {
	rng := rand.New(rand.NewPCG(seed, 1))
	h := drawHead(rng)
	shape := clusterShapes[rng.IntN(len(clusterShapes))]
	return drawSteps(rng, h, coJoin, 3+rng.IntN(4), shape.steps, shape.weights[:])
}

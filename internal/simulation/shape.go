package simulation

import "math/rand/v2"

// A shape says how often each operation comes in one kind of history.
type shape struct {
	name    string
	steps   int
	weights [opcodes]int
}

var shapes = []shape{
	{"talk", 40, [opcodes]int{opTell: 1, opAddress: 1, opVacate: 1, opListen: 1, opRekey: 1, opJoin: 6, opSend: 10, opChorus: 3, opBroadcast: 2, opPart: 2, opGoodbye: 2, opCut: 1, opGarbage: 1, opSleep: 2, opFlush: 1, opLurk: 1}},
	{"churn", 60, [opcodes]int{opKick: 1, opVacate: 2, opJoin: 10, opSend: 6, opPart: 4, opGoodbye: 4, opCut: 3, opGarbage: 2, opCancel: 2, opSleep: 1, opLurk: 3, opBroadcast: 2, opStall: 1}},
	{"flood", 30, [opcodes]int{opKick: 1, opTell: 1, opRekey: 1, opJoin: 8, opSend: 2, opFlood: 8, opChorus: 2, opStall: 3, opResume: 3, opSleep: 3, opBroadcast: 1, opGoodbye: 1, opFlush: 1}},
	{"stall", 40, [opcodes]int{opSwarm: 2, opRekey: 3, opJoin: 7, opSend: 5, opFlood: 3, opStall: 6, opResume: 6, opSleep: 5, opCut: 1, opGoodbye: 2, opBroadcast: 4, opFlush: 1, opPart: 1, opCancel: 1}},
	{"quiet", 20, [opcodes]int{opRekey: 2, opJoin: 6, opSend: 3, opSleep: 8, opLurk: 2, opStall: 1, opBroadcast: 1, opPart: 1}},
	{"end", 15, [opcodes]int{opKick: 1, opTell: 1, opListen: 1, opRekey: 1, opJoin: 8, opSend: 4, opFlood: 2, opStall: 3, opResume: 1, opPart: 1, opEnd: 2, opSleep: 2, opGoodbye: 1, opCut: 1, opBroadcast: 1, opLurk: 1}},
	{"all", 50, [opcodes]int{opAddress: 2, opTell: 2, opKick: 2, opVacate: 1, opDesert: 1, opListen: 1, opRekey: 1, opJoin: 5, opSend: 4, opFlood: 2, opChorus: 1, opBroadcast: 2, opPart: 2, opGoodbye: 1, opCut: 1, opGarbage: 1, opStall: 2, opResume: 2, opSleep: 2, opCancel: 1, opFlush: 1, opLurk: 1}},
	{"rooms", 50, [opcodes]int{opJoin: 10, opSend: 6, opChorus: 2, opBroadcast: 3, opAddress: 5, opTell: 1, opGoodbye: 5, opCut: 2, opVacate: 6, opDesert: 2, opSleep: 3, opStall: 1, opFlood: 1, opLurk: 1}},
	{"host", 50, [opcodes]int{opJoin: 9, opSend: 7, opFlood: 1, opChorus: 3, opBroadcast: 2, opAddress: 3, opTell: 5, opKick: 5, opGoodbye: 1, opCut: 1, opStall: 3, opResume: 2, opSleep: 2, opFlush: 1, opDesert: 1}},
	{"replay", 30, [opcodes]int{opJoin: 8, opFlood: 7, opSend: 3, opChorus: 2, opTell: 2, opBroadcast: 1, opVacate: 2, opGoodbye: 4, opKick: 1, opStall: 1, opResume: 1, opSleep: 1}},
	{"crowd", 40, [opcodes]int{opJoin: 8, opFlood: 6, opStall: 5, opResume: 3, opAddress: 3, opBroadcast: 2, opTell: 4, opKick: 4, opDesert: 2, opSleep: 4, opGoodbye: 1, opCut: 1}},
}

// newHistory returns the history that seed stands for.
func newHistory(seed uint64) history {
	rng := rand.New(rand.NewPCG(seed, 0))
	h := drawHead(rng)
	shape := shapes[rng.IntN(len(shapes))]
	h = drawSteps(rng, h, opJoin, 2+rng.IntN(3), shape.steps, shape.weights[:])
	// The end, sometimes with something behind it.
	h = append(h, byte(opEnd), byte(rng.Uint32()), byte(rng.Uint32()))
	for range rng.IntN(3) {
		h = append(h, pick(byte(rng.Uint32()), byte(opSend), byte(opSleep), byte(opJoin), byte(opResume)), byte(rng.Uint32()), byte(rng.Uint32()))
	}
	return h
}

// drawHead draws the beginning of a history.
func drawHead(rng *rand.Rand) history {
	h := make(history, headLen)
	for i := range h {
		h[i] = byte(rng.Uint32())
	}
	return h
}

// drawSteps adds steps to h: some that have somebody join to begin with, and then some of
// which each opcode is as frequent as its weight says.
func drawSteps(rng *rand.Rand, h history, join opcode, joins, steps int, weights []int) history {
	total := 0
	for _, w := range weights {
		total += w
	}
	for range joins {
		h = append(h, byte(join), byte(rng.Uint32()), byte(rng.Uint32()))
	}
	hurry := rng.IntN(4) // how many of eight steps do not make the next one wait
	for range 1 + rng.IntN(2*steps) {
		pick := rng.IntN(total)
		op := 0
		for pick >= weights[op] {
			pick -= weights[op]
			op++
		}
		first := byte(op)
		if rng.IntN(8) < hurry {
			first |= atOnce
		}
		h = append(h, first, byte(rng.Uint32()), byte(rng.Uint32()))
	}
	return h
}

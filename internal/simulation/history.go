package simulation

import (
	"fmt"
	"strings"
	"time"

	"example.com/chatroom"
)

// A history is a compact form of what happens to a server. It is a head of headLen
// bytes, the options, and then steps of stepLen bytes. Every byte string is a
// history; bytes that are missing at the end are zero. No step depends on another,
// so a history without some of its steps is a history too.
type history []byte

const (
	headLen  = 11
	stepLen  = 3
	maxSteps = 200
)

// A config is what a history's head says.
type config struct {
	backlog    int
	maxMessage int
	write      time.Duration // negative is no limit, as in the options
	idle       time.Duration
	handshake  time.Duration
	frame      time.Duration
	kinds      []linkKind // of connections, in turn
	traits     linkTraits // of those
	scale      int        // of sizes

	// The host's part.
	rooms      int // how many there are
	filters    bool
	history    int
	seeds      int // messages in each room before the server serves
	unique     bool
	maxMembers int
	ordered    bool
}

func (h history) at(i int) byte {
	if i < len(h) {
		return h[i]
	}
	return 0
}

// pick lets a byte choose one of some.
func pick[T any](b byte, of ...T) T { return of[int(b)%len(of)] }

func (h history) config() config {
	return config{
		backlog:    pick(h.at(0), 4<<10, 16<<10, 64<<10, 1<<10, chatroom.DefaultBacklog),
		maxMessage: pick(h.at(1), chatroom.DefaultMaxMessage, 1000, 200),
		write:      pick(h.at(2), chatroom.DefaultWriteTimeout, time.Second, 5*time.Second, -1, 10*time.Minute),
		frame:      pick(h.at(2)>>4, chatroom.DefaultFrameTimeout, -1, time.Second, 10*time.Minute),
		idle:       pick(h.at(3), 0, time.Minute, time.Hour, 0),
		handshake:  pick(h.at(3)>>4, chatroom.DefaultHandshakeTimeout, time.Second, -1),
		scale:      pick(h.at(5), 1, 4, 16),
		kinds: pick(h.at(6), []linkKind{streamLink}, []linkKind{polledLink}, []linkKind{layeredLink},
			[]linkKind{polledLink, polledLink, layeredLink, polledLink, streamLink}),
		traits: linkTraits{
			half:     h.at(4)&1 != 0,
			spurious: h.at(4)&4 != 0,
			stubborn: h.at(4)&8 != 0,
			buffer:   pick(h.at(7), 256<<10, 4<<10, 64<<10, 500, 16<<10),
			cut:      pick(h.at(7)>>4, 0, 0, 0, 1, 100, 5000),
		},
		rooms:      pick(h.at(8), 1, 2, 3),
		filters:    h.at(8)&0x20 != 0,
		history:    pick(h.at(9), 0, 3, 0, 20, 200, 1, 0, 200),
		seeds:      pick(h.at(9)>>4, 0, 0, 2, 0, 0, 30),
		unique:     h.at(10)&3 == 3,
		maxMembers: pick(h.at(10)>>4, 0, 0, 0, 4, 0, 7),
		ordered:    h.at(10)&0x0c == 4,
	}
}

// link returns the traits of the link of the client with that number. The options
// are those of the step that connects it.
func (c config) link(number int, options byte) linkTraits {
	traits := c.traits
	traits.kind = c.kinds[number%len(c.kinds)]
	traits.chop = pick(options, 0, 0, 1, 7, 0, 64)
	return traits
}

func (c config) String() string {
	return fmt.Sprintf("backlog %d, messages up to %d bytes, timeouts: write %v, idle %v, handshake %v, frame %v; connections %v %+v; "+
		"%d rooms of up to %d members, history %d, seeds %d%s%s%s",
		c.backlog, c.maxMessage, c.write, c.idle, c.handshake, c.frame, c.kinds, c.traits,
		c.rooms, c.maxMembers, c.history, c.seeds, either(c.unique, ", unique names", ""), either(c.filters, ", message hooks", ""), either(c.ordered, ", an order of its own", ""))
}

// An opcode says what a step does. The step's bytes a and b say to whom and how.
type opcode byte

const (
	opJoin opcode = iota
	opSend
	opFlood
	opChorus
	opBroadcast
	opPart
	opGoodbye
	opCut
	opGarbage
	opStall
	opResume
	opSleep
	opCancel
	opFlush
	opLurk
	opRekey
	opListen
	opSwarm
	opAddress
	opTell
	opKick
	opVacate
	opDesert
	opEnd
	opcodes
)

var opNames = [opcodes]string{
	"join", "send", "flood", "chorus", "broadcast", "part", "goodbye", "cut",
	"garbage", "stall", "resume", "sleep", "cancel", "flush", "lurk", "rekey", "listen", "swarm",
	"address", "tell", "kick", "vacate", "desert", "end",
}

// atOnce in a step's first byte says that the next step does not wait until this
// one has had all its effects.
const atOnce = 0x80

// A step is one operation.
type step struct {
	op     opcode
	atOnce bool
	a, b   byte
}

// steps returns the steps, of which there are as many kinds.
func (h history) steps(kinds opcode) []step {
	var steps []step
	for i := headLen; i < len(h) && len(steps) < maxSteps; i += stepLen {
		steps = append(steps, step{
			op:     opcode(h[i]&^atOnce) % kinds,
			atOnce: h[i]&atOnce != 0,
			a:      h.at(i + 1),
			b:      h.at(i + 2),
		})
	}
	return steps
}

// count returns how many steps there are.
func (h history) count() int {
	return min(max(len(h)-headLen+stepLen-1, 0)/stepLen, maxSteps)
}

// without returns h without the n steps from the i'th on.
func (h history) without(i, n int) history {
	from := min(headLen+i*stepLen, len(h))
	to := min(from+n*stepLen, len(h))
	return append(h[:from:from], h[to:]...)
}

// size returns the length of a message. A message is at least long enough to be
// told from all others.
func (c config) size(b byte) int {
	return min(pick(b, minBody, 20, 50, 100, 250)*c.scale, c.maxMessage)
}

// sleep returns how long a step sleeps.
func (st step) sleep() time.Duration {
	return pick(st.b,
		time.Millisecond, 20*time.Millisecond, 60*time.Millisecond, 500*time.Millisecond,
		time.Second, 2*time.Second, 5*time.Second, 6*time.Second, 11*time.Second,
		30*time.Second, time.Minute, 2*time.Minute, 15*time.Minute, time.Hour)
}

// String describes the step as the history has it. Only the run knows what comes of
// it.
func (st step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %3d %3d", opNames[st.op], st.a, st.b)
	if st.op == opSleep {
		fmt.Fprintf(&b, " (%v)", st.sleep())
	}
	if st.atOnce {
		b.WriteString(", and at once")
	}
	return b.String()
}

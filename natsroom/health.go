package natsroom

import "time"

// A State is how a server stands to its order.
type State int

// The states. From Leaving on nobody joins.
const (
	InOrder State = iota // what it publishes comes back
	Holding              // nothing has come back for three beats: publishing waits
	Leaving              // nothing has for the outage: members are being disconnected
	Out                  // nobody is left, and nothing is published
	Closed               // the order is closed
)

// String returns the state as the log has it.
func (s State) String() string {
	return [...]string{"in order", "holding", "leaving", "out", "closed"}[s]
}

// A health says how a server stands to its order, from how long nothing has come back to it.
type health struct {
	// Fixed after construction.
	hold, outage, spread time.Duration

	silent time.Duration
}

// pass tells of time in which nothing came back.
func (h *health) pass(d time.Duration) {
	if h.silent < h.outage+h.spread {
		h.silent += d
	}
}

// heard tells that something came back.
func (h *health) heard() { h.silent = 0 }

func (h *health) state() State {
	switch {
	case h.silent < h.hold:
		return InOrder
	case h.silent < h.outage:
		return Holding
	case h.silent-h.outage < h.spread:
		return Leaving
	}
	return Out
}

// left returns how much of the time has passed in which members are disconnected, from 0 to 1.
func (h *health) left() float64 {
	switch {
	case h.silent < h.outage:
		return 0
	case h.silent-h.outage >= h.spread:
		return 1
	}
	return float64(h.silent-h.outage) / float64(h.spread)
}

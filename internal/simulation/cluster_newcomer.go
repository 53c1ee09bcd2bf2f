package simulation

import (
	"bytes"
	"fmt"
	"slices"
)

// historyStart returns where in the log of r the history begins that a newcomer receives
// who joins after the first n messages, at the earliest and at the latest. Private text, of
// which the model does not know the place, takes up bytes as well.
func (cl *cluster) historyStart(r *localRoom, n int) (earliest, latest int) {
	earliest, latest = n, n
	size, private := 0, r.privateBytes
	for i := n - 1; i >= r.floor && n-i <= cl.cfg.history; i-- {
		size += len(r.sequence.log[r.log[i]].unit)
		alone := i == n-1 // and trimmed only if something follows
		if size <= cl.cfg.backlog/2 || alone {
			earliest = i
		}
		if size+private <= cl.cfg.backlog/2 || alone && private == 0 {
			latest = i
		}
	}
	return earliest, latest
}

// resolve finds out where in its room's log g begins to receive. It returns false while
// nothing tells. cl.mu must be held.
func (cl *cluster) resolve(g *guest) bool {
	r := g.local
	to := len(r.log)
	if g.upTo != unknown {
		to = g.upTo
	}
	start := to
	switch unit := cl.firstPublic(g.got); {
	case unit != nil:
		key, _ := keyOf(unit)
		i, there := r.sequence.index[key]
		at, ok := slices.BinarySearch(r.log, i)
		if !there || !ok || !bytes.Equal(r.sequence.log[i].unit, unit) {
			if g.node.phase == running {
				cl.fail(g.String()+" to receive what was published in "+r.String(), "%.200q", unit)
			}
			return false
		}
		start = at
	case len(g.got) > 0 || g.left > 0 || !g.link.look().eager || g.link.look().closing:
		return false // or not yet
	}
	g.next, g.resolved = start, true
	for first := start; ; first-- { // what is not for it may have come before
		for n := g.lo; n <= to; n++ {
			if earliest, latest := cl.historyStart(r, n); earliest <= first && first <= latest {
				return true
			}
		}
		if first == 0 || r.sequence.log[r.log[first-1]].isFor(g) {
			break
		}
	}
	earliest, latest := cl.historyStart(r, g.lo)
	cl.fail(fmt.Sprintf("%v to receive the last %d messages of the first %d to %d of %v, so to begin with message %d to %d",
		g, cl.cfg.history, g.lo, to, r, earliest, latest), "message %d", start)
	return false
}

// firstPublic returns the first whole message in got that is not for one alone, or nil.
// cl.mu must be held.
func (cl *cluster) firstPublic(got []byte) []byte {
	for _, unit := range cutUnits(got) {
		if key, ok := keyOf(unit); !ok || key.number != 0 || key.seq >= len(cl.words) || cl.words[key.seq].to == nil {
			return unit
		}
	}
	return nil
}

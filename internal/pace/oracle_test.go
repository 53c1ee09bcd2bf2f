package pace_test

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// broken returns which promises an outcome breaks. The bounds are derived, not
// measured:
//
// Lost time. What the purse pays is at most its 5 s and a twentieth of the time,
// and 5 ms of patience for each eviction. The sweep of the model is late about once
// a second, for at most sc.late.
//
// Who may hold the room. A member with a share p of the middle's pace begins to owe
// when it is an eighth of a backlog behind, and would hold the room at three
// quarters. By then it owes 5/8 (1-4p)/(1-p) of a backlog. That is more than the
// eighth that it may owe while p is below 0.21: whoever takes less than a fifth
// is not waited for, except out of the purse. Of a middle that was never late
// nothing is known but the demand, as far as it was served.
//
// The pace. A member for which the room is held, and which is waited for lawfully,
// has read at its own rate since it was last at the end of the log, for it was
// never short of bytes. Over that time the room has gone at that rate at least.
func (sc scene) broken(o outcome) []string {
	var broken []string
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }

	evictions, noTrickle := 0, true
	slowest := math.Inf(1)
	for i, n := range o.evicted {
		rd := sc.readers[i]
		evictions += n
		if n > 0 && rd.honest {
			say("reader %d keeps a quarter of the middle's pace, and was evicted", i)
		}
		noTrickle = noTrickle && (rd.rate == 0 || rd.honest)
		if rd.rate > 0 {
			slowest = min(slowest, rd.rate)
		}
	}
	if o.unjustly > 0 {
		say("%d were evicted for whom the server had not come", o.unjustly)
	}

	lost := 5*time.Second + o.time/20 + time.Duration(evictions)*5*time.Millisecond
	lost += time.Duration(float64(o.time) * sc.late.Seconds())
	served := 1 - lost.Seconds()/o.time.Seconds()
	mid := min(middle(sc.readers, reader.takes), sc.demand*served)
	want := sc.demand
	for _, rd := range sc.readers {
		if rd.rate >= mid/5 {
			want = min(want, rd.rate)
		}
	}
	// The law measures nothing that is over between two of its looks.
	measurable := sc.piece() <= sc.backlog/4 && float64(sc.backlog) >= .01*mid
	want = .95*served*want - 2*float64(sc.piece())/o.time.Seconds() // the last pieces may be about to be published
	if measurable && o.pace() < want {
		say("the pace was %.4g bytes a second, and not %.4g", o.pace(), want)
	}

	// After the purse, somebody may still have to take what was published last.
	last := time.Duration(float64(64<<10+sc.piece()) / slowest * 1e9)
	if noTrickle && o.longest > 5*time.Second+last+still+sc.late+2*sc.tick {
		say("the room stopped for %v", o.longest)
	}
	return broken
}

// markHonest marks the readers that keep a quarter of the middle's pace for certain.
//
// The middle is the lower median of those who are in the room, and so at most that
// of those who are never evicted. The law sees it with an error. Its speed is
// measured over three eighths of a backlog on average, and what it takes at once
// may be at both ends of them. A middle that was never late, for want of demand, is
// taken to be as fast as its buffer fills: half a backlog and the buffer in the time
// of half a backlog.
func (sc scene) markHonest() {
	lump, all := 0.0, middle(sc.readers, reader.takes)
	for _, rd := range sc.readers {
		if rd.rate >= all/5 {
			lump = max(lump, rd.rate*rd.period.Seconds())
		}
	}
	strangers := slices.ContainsFunc(sc.readers, func(rd reader) bool { return rd.returns })
	window := .375 * float64(sc.backlog)
	for i := range sc.readers {
		rd := &sc.readers[i]
		rd.honest = rd.takes() && rd.period <= still && lump < window
	}
	for again := true; again; {
		again = false
		mid := middle(sc.readers, func(rd reader) bool { return rd.honest })
		for i := range sc.readers {
			rd := &sc.readers[i]
			seen := mid / (1 - lump/window)
			if sc.demand < 4*mid {
				seen = max(seen, mid*(1+2*float64(rd.buffer)/float64(sc.backlog)))
			}
			// With an empty purse a member may pause while the middle takes half a backlog.
			pauses := strangers && rd.period.Seconds()*seen > .5*float64(sc.backlog)
			if rd.honest && (rd.rate < .255*seen || pauses) {
				rd.honest = false
				again = true // those that are left may have a faster middle
			}
		}
	}
}

func (rd reader) takes() bool { return rd.rate > 0 }

// middle returns the lower median of the rates of those readers that count.
func middle(readers []reader, counts func(reader) bool) float64 {
	var all []float64
	for _, rd := range readers {
		if counts(rd) {
			all = append(all, rd.rate)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

func (sc scene) String() string {
	s := fmt.Sprintf("backlog %d, demand %.3g, message %d, sweep late %v, %d ticks of %v", sc.backlog, sc.demand, sc.message, sc.late, sc.ticks, sc.tick)
	for i, rd := range sc.readers {
		if i == 20 {
			return s + fmt.Sprintf("\n  and %d more", len(sc.readers)-i)
		}
		s += fmt.Sprintf("\n  %d: %+v", i, rd)
	}
	return s
}

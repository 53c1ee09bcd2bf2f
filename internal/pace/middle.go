package pace

import (
	"math"
	"time"
)

const (
	// voteAfter is how long a member must have been observed to count for the middle.
	// By then members that have joined and take nothing are known to be still.
	voteAfter = 2 * still

	// longestBacklog is the longest that a middle which was never late is assumed to
	// need for a backlog. Without it such a room could wait for a slow member without
	// end.
	longestBacklog = 30 * time.Second
)

// A speed is how fast a member takes bytes while it is late. At other times what a
// member takes shows how much is published, or how fast buffers fill.
type speed struct {
	bytes float64
	spent time.Duration
	fast  bool // it has kept up with half a backlog, so it is infinite until it is measured
}

// add adds what a member took while it was late. What is older than window bytes
// counts half.
func (s *speed) add(bytes float64, spent time.Duration, window float64) {
	s.bytes += bytes
	if s.spent += spent; s.bytes > window {
		s.bytes, s.spent = s.bytes/2, s.spent/2
	}
}

// A middle is a reader that waits for nobody and takes bytes at the lower median of
// the members' speeds. That median does not move with who joins near the end of
// the log, as the progress of the median of their positions would.
type middle struct {
	backlog float64
	todo    float64       // bytes that it has not taken yet; negative if it was assumed to be ahead of the log
	run     float64       // bytes published since the room was last held
	ran     time.Duration // the time that took
	flow    float64       // bytes per second, at least, of a middle that was never late
	speeds  []float64     // reused
}

// flows adds the bytes that were published since the last look.
func (mid *middle) flows(bytes float64, since time.Duration, held bool) {
	if held || mid.run >= mid.backlog {
		mid.run, mid.ran = 0, 0
	}
	if !held {
		mid.run += bytes
		mid.ran += since
	}
}

// takes returns how many bytes the middle has taken since the last look or, if the
// room was held, would have taken.
func (mid *middle) takes(published float64, step time.Duration, held bool, members []*Member) float64 {
	speed, kept := mid.speed(members, voteAfter)
	if len(mid.speeds) == 0 {
		speed, kept = mid.speed(members, 0)
	}
	if kept && mid.run >= mid.backlog*3/4 && mid.ran > 0 {
		mid.flow = (mid.run - mid.backlog/8) / mid.ran.Seconds() // the rest may have gone into buffers
	}
	measured := !math.IsInf(speed, 1)
	if !measured {
		mid.todo = min(mid.todo, 0) // it has kept up
	}
	mid.todo = min(mid.todo+published, mid.backlog/4)
	took := max(mid.todo, 0)
	switch {
	case held && !measured:
		took = max(mid.flow, mid.backlog/longestBacklog.Seconds()) * step.Seconds()
	case held:
		took = speed * step.Seconds()
	case measured:
		took = min(took, speed*step.Seconds())
	case !kept:
		took = 0
	}
	mid.todo = max(mid.todo-took, -mid.backlog/4)
	return took
}

// speed returns the lower median of the speeds of those members that have been
// observed for so long and are not still, and whether most of them are not late. It is
// infinite if the median member was never late, or if there is none.
func (mid *middle) speed(members []*Member, observed time.Duration) (speed float64, kept bool) {
	mid.speeds = mid.speeds[:0]
	all, late := 0, 0
	for _, m := range members {
		if m.observed < observed || m.stillFor >= still {
			continue
		}
		all++
		if m.late {
			late++
		}
		s := m.speed
		switch {
		case s.spent > 0:
			mid.speeds = append(mid.speeds, s.bytes/s.spent.Seconds())
		case s.fast:
			mid.speeds = append(mid.speeds, math.Inf(1))
		}
	}
	kept = 2*late < all
	if len(mid.speeds) == 0 {
		return math.Inf(1), kept
	}
	return lowerMedian(mid.speeds), kept
}

// lowerMedian returns the lower median of s, which must not be empty, in linear time.
// It reorders s.
func lowerMedian(s []float64) float64 {
	k := (len(s) - 1) / 2
	for lo, hi := 0, len(s)-1; lo < hi; {
		pivot, i, j := s[k], lo, hi
		for i <= j {
			for ; s[i] < pivot; i++ {
			}
			for ; s[j] > pivot; j-- {
			}
			if i <= j {
				s[i], s[j] = s[j], s[i]
				i, j = i+1, j-1
			}
		}
		if j < k {
			lo = i
		}
		if k < i {
			hi = j
		}
	}
	return s[k]
}

package pace_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/internal/pace"
)

// A hand is a room that a test moves by hand.
type hand struct {
	*pace.Law
	now     time.Time
	end     int64
	members []*pace.Member
}

func newHand(backlog int64, members int) *hand {
	h := &hand{Law: pace.New(backlog), now: time.Unix(1e9, 0)}
	for range members {
		h.members = append(h.members, new(pace.Member))
	}
	h.look()
	return h
}

func (h *hand) look() pace.Verdict {
	return h.Look(h.now, h.end, slices.Values(h.members))
}

// pass looks often while a time passes, and returns the last verdict.
func (h *hand) pass(d time.Duration) (v pace.Verdict) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.now = h.now.Add(5 * time.Millisecond)
		v = h.look()
	}
	return v
}

func (h *hand) at(i int, behind int64, blocked bool) {
	h.members[i].Pos, h.members[i].Blocked = h.end-behind, blocked
}

func TestHold(t *testing.T) {
	for _, c := range []struct {
		name    string
		behind  int64
		blocked bool
		hold    bool
	}{
		{"at the end", 0, false, false},
		{"three quarters behind", 750, true, false},
		{"more", 753, true, true},
		{"the sweep has not come to it", 753, false, true},
		{"a backlog behind", 1000, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHand(1000, 3)
			h.end = 1000
			h.at(0, c.behind, c.blocked)
			h.at(1, 0, false)
			h.at(2, 0, false)
			v := h.look()
			assert.Equal(t, c.hold, v.Hold)
			assert.Equal(t, c.hold, v.Again > 0)
			assert.Zero(t, v.Evict)
		})
	}
}

func TestMoved(t *testing.T) {
	h := newHand(1000, 3)
	h.end = 1000
	h.at(0, 900, true)
	h.at(1, 800, true)
	h.at(2, 100, true)
	require.True(t, h.look().Hold)
	assert.False(t, h.Moved(h.members[2], 1000), "it did not hold the room")
	assert.False(t, h.Moved(h.members[0], 200), "it is still too far behind")
	assert.False(t, h.Moved(h.members[0], 300), "another one holds the room")
	assert.True(t, h.Moved(h.members[1], 300))
	assert.False(t, h.Moved(h.members[1], 400), "told already")
	h.at(0, 700, true)
	h.at(1, 600, true)
	assert.False(t, h.look().Hold)
}

// A message may be longer than the backlog. Nobody is evicted because it was
// appended, however often the room is looked at then.
func TestLongMessage(t *testing.T) {
	for _, backlog := range []int64{1 << 10, 64 << 10, 1 << 20} {
		h := newHand(backlog, 3)
		for range 100 {
			h.end += 1 << 20
			for i := range h.members {
				h.at(i, 1<<20, true)
			}
			v := h.look()
			assert.Zero(t, v.Evict)
			assert.True(t, v.Hold)
			// It is written to all, to one after the other.
			for i := range h.members {
				assert.Zero(t, h.pass(50*time.Millisecond).Evict)
				h.at(i, 0, false)
			}
			assert.False(t, h.look().Hold)
		}
	}
}

// Also of a member that is far slower it does not count what was appended last.
func TestLastAppendDoesNotCount(t *testing.T) {
	h := newHand(1<<20, 3)
	grow := func(bytes int64) pace.Verdict {
		h.end += bytes
		h.at(0, 0, false)
		h.at(1, 0, false)
		h.members[2].Blocked = true // and takes nothing
		h.now = h.now.Add(10 * time.Millisecond)
		return h.look()
	}
	for h.end < 800<<10 {
		grow(32 << 10)
	}
	require.False(t, h.pass(5*time.Second).Hold, "it has not been found far slower")
	v := grow(1 << 20)
	assert.Zero(t, v.Evict)
	assert.False(t, v.Hold)
	assert.Equal(t, 1, grow(1).Evict)
	assert.True(t, h.members[2].Evict)
}

// The purse bounds for how long members stop the room that kept up before and take
// nothing any more: 5 s at a time, and a twentieth of the time in all.
func TestPurse(t *testing.T) {
	h := newHand(1<<20, 3)
	start, held := h.now, time.Duration(0)
	for range 30 {
		stalls := h.now.Add(10 * time.Second)
		h.members[2] = &pace.Member{Pos: h.end}
		for stop := time.Duration(0); !h.members[2].Evict; {
			h.now = h.now.Add(5 * time.Millisecond)
			if v := h.look(); v.Hold {
				held, stop = held+5*time.Millisecond, stop+5*time.Millisecond
				require.LessOrEqual(t, stop, 5*time.Second)
				continue
			}
			h.end += 16 << 10
			h.at(0, 0, false)
			h.at(1, 0, false)
			h.members[2].Blocked = h.now.After(stalls)
			if !h.members[2].Blocked {
				h.at(2, 0, false)
			}
		}
	}
	assert.LessOrEqual(t, held, 5*time.Second+h.now.Sub(start)/20)
	assert.Greater(t, held, 2*time.Second, "some patience there is")
}

// The server itself may be slow: whom it has not come to is never slow.
func TestSweepLate(t *testing.T) {
	h := newHand(1<<20, 10)
	for range 100 {
		h.end += 64 << 10
		for i := range h.members {
			h.at(i, 0, false)
		}
		h.members[0].Pos, h.members[0].Blocked = 0, false
		assert.Zero(t, h.pass(time.Second).Evict)
		assert.Equal(t, h.end > 768<<10, h.look().Hold, "at %d", h.end)
	}
	// It was come to, and takes bytes only now.
	h.members[0].Blocked = true
	v := h.look()
	assert.True(t, v.Hold)
	assert.Zero(t, v.Evict)
}

// While the server has not come to somebody, nobody can be blamed.
func TestSweepLateForOne(t *testing.T) {
	for _, late := range []bool{false, true} {
		h := newHand(1<<20, 4)
		for range 60 {
			h.now = h.now.Add(10 * time.Millisecond)
			h.end += 32 << 10
			for i := range h.members {
				h.at(i, 0, false)
			}
			h.look()
		}
		h.end += 900 << 10
		h.at(0, 0, false)
		h.at(1, 0, false)
		h.at(2, 900<<10, true)
		h.at(3, 0, false)
		if late {
			h.at(3, 900<<10, false)
		}
		h.look()
		for range 150 { // it takes less than a quarter of what flowed before
			h.members[2].Pos += 512
			h.pass(20 * time.Millisecond)
		}
		h.at(3, 0, false)
		assert.Equal(t, late, h.look().Hold)
	}
}

func TestTimeStandsStill(t *testing.T) {
	h := newHand(1<<20, 3)
	for range 1000 {
		h.end += 64 << 10
		h.at(0, 0, false)
		h.at(1, 0, false)
		h.members[2].Blocked = true // and takes nothing
		assert.Zero(t, h.look().Evict)
	}
	assert.True(t, h.look().Hold)
}

// A clock that jumps says nothing about anybody.
func TestTimeJumps(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, time.Hour, 1000 * time.Hour} {
		h := newHand(1<<20, 3)
		h.end = 2 << 20
		for i := range h.members {
			h.at(i, 1<<20, true)
		}
		h.look()
		h.now = h.now.Add(jump)
		v := h.look()
		assert.Zero(t, v.Evict)
		assert.True(t, v.Hold)
	}
}

// What a member owed before an idle hour is forgotten when the room gets busy.
func TestIdleHour(t *testing.T) {
	h := newHand(1<<20, 3)
	for range 30 { // the others take all, the last one nothing for a while
		h.now = h.now.Add(10 * time.Millisecond)
		h.end += 32 << 10
		h.at(0, 0, false)
		h.at(1, 0, false)
		h.members[2].Blocked = true
		h.look()
	}
	h.at(2, 0, false)
	h.now = h.now.Add(time.Hour)
	h.end += 2 << 20
	h.at(0, 0, false)
	h.at(1, 0, false)
	h.at(2, 2<<20, true)
	h.look()
	v := h.pass(100 * time.Millisecond)
	assert.Zero(t, v.Evict)
	assert.True(t, v.Hold, "it is waited for")
}

// With a backlog that a single look sees filled, a hold must still end.
func TestSmallBacklogs(t *testing.T) {
	for _, backlog := range []int64{1 << 10, 4 << 10} {
		sc := scene{
			seed: 1, backlog: backlog, demand: flood, message: 100, tick: 5 * time.Millisecond, ticks: 12000,
			readers: many(3, reader{rate: 100, buffer: 64, honest: true}),
		}
		o := sc.run()
		assert.Equal(t, []int{0, 0, 0}, o.evicted)
		assert.Greater(t, o.published, int64(50*60))
	}
}

func TestLookNeedsNoMemory(t *testing.T) {
	law, members := flooded(100)
	now, end := time.Unix(0, 0), int64(0)
	all := slices.Values(members)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		now, end = now.Add(time.Millisecond), end+64<<10
		law.Look(now, end, all)
	}))
}

func TestLowerMedian(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := 1; n < 200; n++ {
		s := make([]float64, n)
		for i := range s {
			s[i] = float64(rng.IntN(n))
		}
		want := slices.Sorted(slices.Values(s))[(n-1)/2]
		assert.InDelta(t, want, pace.LowerMedian(s), 0, "%v", s)
	}
}

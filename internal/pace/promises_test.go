package pace_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const flood = 200 * MB

// honest readers must not be evicted; slow ones come back whenever they are.
func honest(n int, rate float64) []reader {
	return many(n, reader{rate: rate, buffer: 256 << 10, honest: true})
}

func slow(n int, rate float64) []reader {
	return many(n, reader{rate: rate, buffer: 256 << 10, returns: true})
}

func many(n int, rd reader) []reader {
	all := make([]reader, n)
	for i := range all {
		all[i] = rd
	}
	return all
}

// spread makes the rates differ by up to a share of what they are, both ways.
func spread(all []reader, share float64) []reader {
	for i := range all {
		all[i].rate *= 1 - share + 2*share*float64(i)/float64(len(all)-1)
	}
	return all
}

func inBursts(all []reader, period time.Duration) []reader {
	for i := range all {
		all[i].period = period
	}
	return all
}

func leaving(all []reader, at time.Duration) []reader {
	for i := range all {
		all[i].leaves = at
	}
	return all
}

func join(groups ...[]reader) []reader {
	var all []reader
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// TestPromises runs the rooms that the promises name, at three backlogs. In each
// the honest members stay. Run it with -v for the figures.
func TestPromises(t *testing.T) {
	for _, c := range []struct {
		name    string
		readers []reader
		demand  float64
		pace    float64       // at least, in bytes per second
		hold    time.Duration // the longest
	}{
		{"20 readers of 2 MB/s, 30 % apart", spread(honest(20, 2*MB), .3), flood, 1.39 * MB, 100 * time.Millisecond},
		{"20 readers of 150 kB/s, 30 % apart", spread(honest(20, 150*kB), .3), flood, .104 * MB, time.Second},
		{"20 readers of 2 MB/s, 60 % apart", spread(honest(20, 2*MB), .6), flood, .79 * MB, 150 * time.Millisecond},
		{"20 in bursts every 200 ms", inBursts(honest(20, 2*MB), 200*time.Millisecond), flood, 1.95 * MB, 210 * time.Millisecond},
		{"one of 20 at 0.075 of the pace", join(honest(19, 2*MB), slow(1, .15*MB)), flood, 1.9 * MB, 5 * time.Second},
		{"4 of 34 at 0.05", join(honest(30, MB), slow(4, .05*MB)), flood, .95 * MB, 5 * time.Second},
		{"4 of 34 at 0.1", join(honest(30, MB), slow(4, .1*MB)), flood, .95 * MB, 5 * time.Second},
		{"4 of 34 at 0.2", join(honest(30, MB), slow(4, .2*MB)), flood, .95 * MB, 5 * time.Second},
		{"4 of 34 at 0.24", join(honest(30, MB), slow(4, .24*MB)), flood, .25 * MB, time.Second},
		{"4 of 34 at 0.26", join(honest(30, MB), honest(4, .26*MB)), flood, .25 * MB, time.Second},
		{"4 of 34 at 0.3, and leave", join(honest(30, MB), leaving(honest(4, .3*MB), 30*time.Second)), flood, .5 * MB, time.Second},
		{"14 of 44 take nothing", join(honest(30, MB), slow(14, 0)), flood, .95 * MB, 5 * time.Second},
		{"16 of 26 take nothing", join(honest(10, MB), slow(16, 0)), flood, .95 * MB, 5 * time.Second},
		{"16 of 26 take nothing, fast", join(honest(10, 80*MB), slow(16, 0)), flood, .95 * 55 / 60 * 80 * MB, 5 * time.Second},
		{"one of 100 takes nothing, fast", join(honest(99, 80*MB), slow(1, 0)), flood, .95 * 55 / 60 * 80 * MB, 5 * time.Second},
		{"one of three at 0.03", join(honest(1, 4*MB), honest(1, 40*MB), slow(1, .1*MB)), flood, .9 * 4 * MB, 5 * time.Second},
		{"fast strangers", join(honest(10, MB), many(11, reader{rate: 3 * MB, buffer: 256 << 10})), flood, .95 * MB, 100 * time.Millisecond},
		{"a demand just below the middle", spread(honest(20, 2*MB), .3), 1.7 * MB, 1.39 * MB, 100 * time.Millisecond},
		{"a demand of a quarter of the pace", join(honest(20, 4*MB), slow(3, .1*MB)), MB, .95 * MB, 5 * time.Second},
		{"a room of two", join(honest(1, MB), honest(1, .05*MB)), flood, .05 * MB, 2 * time.Second},
		{"a room of two, one takes nothing", join(honest(1, MB), slow(1, 0)), flood, .9 * MB, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, backlog := range []int64{1 << 20, 2 << 20, 16 << 20} {
				sc := scene{seed: 1, backlog: backlog, demand: c.demand, message: 1000, readers: c.readers, tick: 5 * time.Millisecond, ticks: 12000}
				if c.readers[0].rate > 10*MB {
					sc.tick, sc.ticks = 250*time.Microsecond, 240000
				}
				if slowed && (sc.tick < time.Millisecond || backlog != 1<<20) {
					continue
				}
				o := sc.run()
				others := 0
				for i, n := range o.evicted {
					if c.readers[i].honest {
						assert.Zero(t, n, "reader %d, with a backlog of %d", i, backlog)
					} else {
						others += n
					}
				}
				t.Logf("%2d MiB: %.3f MB/s, longest hold %v, held %.2f of the time, %d evicted",
					backlog>>20, o.pace()/MB, o.longest, o.held.Seconds()/o.time.Seconds(), others)
				assert.GreaterOrEqual(t, o.pace(), c.pace, "backlog %d", backlog)
				assert.LessOrEqual(t, o.longest, c.hold, "backlog %d", backlog)
			}
		})
	}
}

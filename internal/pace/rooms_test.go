package pace_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	rooms = flag.Uint64("rooms", defaultRooms, "how many made-up rooms TestRooms runs")
	seed  = flag.Uint64("seed", 0, "the only made-up room that TestRooms runs")
)

// TestRooms holds made-up rooms against the promises.
func TestRooms(t *testing.T) {
	if *seed > 0 {
		testRoom(t, *seed)
		return
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for n := next.Add(1); n <= *rooms; n = next.Add(1) {
				testRoom(t, n)
			}
		})
	}
	wg.Wait()
}

func testRoom(t *testing.T, seed uint64) {
	sc := made(seed)
	for _, broken := range sc.broken(sc.run()) {
		t.Errorf("%s\n%v\nto run it alone: go test ./internal/pace -run TestRooms -seed=%d", broken, sc, seed)
	}
}

// A maker makes up a room from a seed.
type maker struct {
	*rand.Rand
	scene
	middle float64 // bytes per second
}

// made makes up the room of a seed.
func made(seed uint64) scene {
	mk := maker{Rand: rand.New(rand.NewPCG(seed, 2)), scene: scene{seed: seed}}
	mk.message = int64(mk.pick(60, 300, 1000, 1000, 5000, 40000))
	mk.backlog = int64(mk.pick(1<<20, 2<<20, 16<<20))
	if mk.IntN(8) == 0 {
		mk.backlog = int64(mk.between(1<<10, 16<<20))
	}
	n := int(mk.between(2, 60))
	switch mk.IntN(300) {
	case 0:
		n = 10000
	case 1, 2:
		n = 1000
	}
	strange := mk.IntN(n)
	if mk.IntN(3) == 0 {
		strange = 0
	}
	mk.ordinary(n - strange)
	if mk.IntN(3) == 0 {
		mk.bursts()
	}
	if strange > 0 {
		mk.strange(strange)
	}
	mk.demand = 200 * MB
	if mk.IntN(3) == 0 {
		mk.demand = mk.middle * mk.between(.1, 3)
	}
	if mk.IntN(4) == 0 {
		mk.late = time.Duration(mk.between(.005, .5) * 1e9)
	}
	mk.tick = time.Duration(min(max(float64(mk.backlog)/max(middle(mk.readers, reader.takes), 1)/50, 100e-6), 5e-3) * 1e9)
	mk.ticks = min(12000, 200000/len(mk.readers)+300)
	mk.markHonest()
	return mk.scene
}

// between picks a number, small and large ones alike.
func (mk *maker) between(low, high float64) float64 {
	return low * math.Pow(high/low, mk.Float64())
}

func (mk *maker) pick(of ...float64) float64 { return of[mk.IntN(len(of))] }

func (mk *maker) buffer() int64 { return min(256<<10, max(mk.backlog/4, 1)) }

// ordinary adds n readers whose rates lie around a middle, none far below it.
func (mk *maker) ordinary(n int) {
	rate := mk.between(50*kB, 80*MB)
	if mk.IntN(4) == 0 {
		rate = mk.pick(150*kB, MB, 2*MB)
	}
	wide := math.Sqrt(mk.between(1.05, 100))
	for range n {
		mk.readers = append(mk.readers, reader{rate: rate * mk.between(1/wide, wide), buffer: mk.buffer()})
	}
	mk.middle = middle(mk.readers, reader.takes)
	for i := range mk.readers {
		mk.readers[i].rate = max(mk.readers[i].rate, .27*mk.middle)
	}
}

// strange adds up to n readers of one kind, which come back whenever they are
// evicted. Those that take nothing, and fast ones, may be most of the room.
func (mk *maker) strange(n int) {
	kind := mk.IntN(7)
	if kind > 1 {
		n = max(1, min(n, len(mk.readers)/2))
	}
	for range n {
		rd := reader{buffer: mk.buffer(), returns: true}
		switch kind {
		case 0: // takes nothing
		case 1: // fast
			rd.rate = mk.middle * mk.between(2, 100)
		case 2: // just below the limit
			rd.rate = mk.middle * mk.pick(.24, .2, .1, .05)
		case 3: // just above
			rd.rate = mk.middle * mk.pick(.26, .27, .3)
		case 4: // far below
			rd.rate = mk.middle * mk.between(.001, .2)
		case 5: // much at once, but seldom
			rd.rate = mk.middle * mk.between(.01, .2)
			rd.period = time.Duration(mk.between(.05, 5) * 1e9)
		default:
			rd.rate = mk.middle * mk.pick(0, .05, .1, .2, .24, .27, .5)
		}
		mk.readers = append(mk.readers, rd)
	}
}

// bursts lets every other reader read up to half a backlog or 4 MiB at once, at
// least five times a second.
func (mk *maker) bursts() {
	for i := range mk.readers {
		rd := &mk.readers[i]
		if mk.IntN(2) == 0 {
			longest := min(.2, float64(min(mk.backlog/2, 4<<20))/rd.rate)
			rd.period = time.Duration(longest * (.1 + .9*mk.Float64()) * 1e9)
		}
	}
}

package pace_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/chatroom/internal/pace"
)

const (
	kB = 1e3
	MB = 1e6

	still = 250 * time.Millisecond // as in the law
)

// A reader is how a made-up member reads. It may read rate*period bytes in each
// period, as soon as they are there; with no period it reads smoothly.
type reader struct {
	rate    float64 // bytes per second
	period  time.Duration
	buffer  int64         // bytes between the server and it
	honest  bool          // it keeps a quarter of the middle's pace: it must not be evicted
	leaves  time.Duration // when it leaves, if it does
	returns bool          // it comes back at once when it was evicted
}

// A scene is a made-up room.
type scene struct {
	seed    uint64
	backlog int64
	demand  float64 // bytes per second that are to be published
	message int64   // bytes; several are published together, up to 32 KiB
	readers []reader
	late    time.Duration // how late the sweep is, some of the time
	tick    time.Duration // of the model
	ticks   int
}

// An outcome is what became of a scene.
type outcome struct {
	time      time.Duration
	published int64
	evicted   []int         // how often each reader was
	unjustly  int           // how often one was for whom the server had not come
	longest   time.Duration // the longest hold without a release
	held      time.Duration
	looks     int
}

func (o outcome) pace() float64 { return float64(o.published) / o.time.Seconds() }

type member struct {
	pace.Member
	who    int
	phase  time.Duration // of its periods
	quota  float64       // bytes that it may read until its next period
	unread float64       // bytes that are in its buffer
	room   *room
}

type room struct {
	scene
	law     *pace.Law
	members []*member
	all     iter.Seq[*pace.Member]
	rng     *rand.Rand
	start   time.Time
	now     time.Time
	end     int64
	grown   int64 // since the last look
	tokens  float64
	resumes time.Time // when the sweep does something again
	verdict pace.Verdict
	lookAt  time.Time
	heldAt  time.Time
	out     outcome
}

func (sc scene) run() outcome {
	r := &room{scene: sc, law: pace.New(sc.backlog), rng: rand.New(rand.NewPCG(sc.seed, 1)), now: time.Unix(1e9, 0)}
	r.all = func(yield func(*pace.Member) bool) {
		for _, m := range r.members {
			if !yield(&m.Member) {
				return
			}
		}
	}
	r.out.evicted = make([]int, len(sc.readers))
	for i := range sc.readers {
		r.join(i)
	}
	r.start = r.now
	for range sc.ticks {
		r.now = r.now.Add(sc.tick)
		r.step()
	}
	r.out.time, r.out.published = r.now.Sub(r.start), r.end
	if r.verdict.Hold {
		r.released()
	}
	return r.out
}

func (r *room) join(who int) {
	m := &member{who: who, room: r}
	m.Pos = r.end
	if p := r.readers[who].period; p > 0 {
		m.phase = time.Duration(r.rng.Int64N(int64(p)))
	}
	r.members = append(r.members, m)
}

// piece returns how much is published together.
func (sc scene) piece() int64 { return sc.message * max(1, min(16, 32<<10/sc.message)) }

// step lets a tick pass.
func (r *room) step() {
	r.leave()
	for _, m := range r.members {
		m.read(r.tick)
	}
	if r.late > 0 && !r.now.Before(r.resumes) && r.rng.Float64() < r.tick.Seconds() {
		r.resumes = r.now.Add(time.Duration(r.rng.Int64N(int64(r.late))))
	}
	r.write()
	r.tokens = min(r.tokens+r.demand*r.tick.Seconds(), 2*(r.demand*r.tick.Seconds()+float64(r.piece())))
	for {
		if r.verdict.Hold && !r.now.Before(r.lookAt) {
			r.look()
		}
		piece := r.piece()
		if r.verdict.Hold || r.tokens < float64(piece) {
			return
		}
		r.tokens -= float64(piece)
		r.end += piece
		r.grown += piece
		r.write()
		if r.grown >= min(64<<10, max(1, r.backlog/32)) {
			r.look()
		}
	}
}

// leave lets those leave whose time has come.
func (r *room) leave() {
	n := len(r.members)
	r.members = slices.DeleteFunc(r.members, func(m *member) bool {
		at := r.readers[m.who].leaves
		return at > 0 && r.now.Sub(r.start) >= at
	})
	if len(r.members) < n && r.verdict.Hold {
		r.look()
	}
}

// read lets a member read for a tick.
func (m *member) read(tick time.Duration) {
	rd := m.room.readers[m.who]
	if rd.period == 0 {
		m.quota = rd.rate * tick.Seconds()
	} else if m.phase -= tick; m.phase <= 0 {
		m.phase += rd.period
		m.quota = rd.rate * rd.period.Seconds()
	}
	m.drain()
}

func (m *member) drain() {
	n := min(m.quota, m.unread)
	m.quota -= n
	m.unread -= n
}

// write writes to each member what it takes, and looks if that is due.
func (r *room) write() {
	due := false
	asleep := r.now.Before(r.resumes)
	for _, m := range r.members {
		if asleep && !m.Blocked {
			continue // the sweep is late
		}
		rd := &r.readers[m.who]
		for m.Pos < r.end {
			n := min(r.end-m.Pos, rd.buffer-int64(m.unread))
			if n <= 0 {
				break
			}
			m.Pos += n
			m.unread += float64(n)
			m.drain()
			if r.verdict.Hold {
				due = r.law.Moved(&m.Member, m.Pos) || due
			}
		}
		m.Blocked = m.Pos < r.end
	}
	if due {
		r.look()
	}
}

func (r *room) look() {
	r.out.looks++
	r.grown = 0
	was := r.verdict.Hold
	r.verdict = r.law.Look(r.now, r.end, r.all)
	r.lookAt = r.now.Add(r.verdict.Again)
	switch {
	case !was && r.verdict.Hold:
		r.heldAt = r.now
	case was && !r.verdict.Hold:
		r.released()
	}
	if r.verdict.Evict == 0 {
		return
	}
	kept := r.members[:0]
	var back []int
	for _, m := range r.members {
		if !m.Evict {
			kept = append(kept, m)
			continue
		}
		r.out.evicted[m.who]++
		if !m.Blocked {
			r.out.unjustly++
		}
		if r.readers[m.who].returns {
			back = append(back, m.who)
		}
	}
	r.members = kept
	for _, who := range back {
		r.join(who)
	}
	if r.verdict.Hold {
		r.look() // somebody has left
	}
}

func (r *room) released() {
	held := r.now.Sub(r.heldAt)
	r.out.held += held
	r.out.longest = max(r.out.longest, held)
}

package chatroom

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A modelMember is a room's member whose bytes a test takes by hand, and what it
// should be given.
type modelMember struct {
	*member
	owed    []byte // published by others since the join and not yet taken
	evicted bool
	pace    int // takes something in one of so many steps
	take    func(p []byte) int
}

var _ outlet = (*modelMember)(nil)

func (m *modelMember) writeOwed() { m.writer.Done() } // the test writes

func (m *modelMember) tryWrite(p []byte) (int, error) { return m.take(p), nil }

func (m *modelMember) evict(error) bool { m.evicted = true; return true }

func (m *modelMember) gone() <-chan struct{} { return nil }

func (m *modelMember) isGone() bool { return false }

// TestRoomAgainstModel drives a room without connections through random
// histories on the fake clock. After each step it counts the pace anew, and each
// member is given exactly what the others published, in order.
func TestRoomAgainstModel(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) { modelHistory(t, seed) })
	}
}

func modelHistory(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	r := newRoom(int64(2000 + rng.IntN(20_000)))
	var members []*modelMember
	join := func() {
		m := &modelMember{member: &member{at: -1}, pace: 1 + rng.IntN(8)}
		m.prefix = AppendFrame(nil, []byte("name"))
		m.out, m.sweeps = m, rng.IntN(2) == 0
		full := rand.New(rand.NewPCG(seed, uint64(len(members)))) // the sweep's own
		m.take = func(p []byte) int {
			n := len(p)
			if full.IntN(m.pace) != 0 {
				n = full.IntN(n)
			}
			require.GreaterOrEqual(t, len(m.owed), n, "seed %d: more than is owed", seed)
			require.Equal(t, m.owed[:n], p[:n], "seed %d: other bytes than are owed", seed)
			m.owed = m.owed[n:]
			return n
		}
		require.NoError(t, r.join(m.member))
		members = append(members, m)
	}
	published := func(sender *modelMember, body []byte) {
		for _, m := range members {
			if m != sender && !m.evicted {
				m.owed = AppendFrame(append(m.owed, AppendFrame(nil, []byte("name"))...), body)
			}
		}
	}
	body := func() []byte {
		b := make([]byte, rng.IntN(600))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 2 + rng.IntN(6) {
		join()
	}
	for step := range 1000 {
		m := members[rng.IntN(len(members))]
		switch op := rng.IntN(20); {
		case op == 0 && len(members) < 10:
			join()
		case op == 1 && len(members) > 2:
			resting := m.at >= 0
			r.leave(m.member)
			m.evicted = true
			if resting {
				synctest.Wait() // for the sweep
				r.mu.Lock()
				require.Nil(t, m.cur.chunk, "seed %d step %d: a member that has left pins the log", seed, step)
				r.mu.Unlock()
			}
		case op == 2:
			b := body()
			published(nil, b)
			require.NoError(t, r.broadcast(m.prefix, b))
		case op == 3:
			time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		case op < 10 && !r.pace.held:
			first, second := body(), body()
			published(m, first)
			published(m, second)
			require.NoError(t, r.publish(m.member, [][]byte{first, second}))
		default:
			if m.at >= 0 || rng.IntN(m.pace) != 0 {
				break
			}
			run := r.next(m.member)
			if len(run) == 0 {
				require.True(t, r.tryIdle(m.member), "seed %d step %d: owed nothing and not idle", seed, step)
				break
			}
			n := 1 + rng.IntN(len(run))
			require.GreaterOrEqual(t, len(m.owed), n, "seed %d step %d: more than is owed", seed, step)
			require.Equal(t, m.owed[:n], run[:n], "seed %d step %d: other bytes than are owed", seed, step)
			m.owed = m.owed[n:]
			r.wrote(m.member, n)
		}
		synctest.Wait() // for timers that are due
		live := members[:0]
		for _, m := range members {
			if !m.evicted {
				live = append(live, m)
			}
		}
		if members = live; len(members) == 0 {
			join()
		}
		r.mu.Lock()
		checkRoom(t, r, seed, step)
		r.mu.Unlock()
	}
	for _, m := range members {
		for m.at < 0 {
			run := r.next(m.member)
			if len(run) == 0 {
				require.True(t, r.tryIdle(m.member), "seed %d: owed nothing and not idle", seed)
				break
			}
			require.Equal(t, m.owed[:len(run)], run, "seed %d: the rest", seed)
			m.owed = m.owed[len(run):]
			r.wrote(m.member, len(run))
		}
		require.Empty(t, m.owed, "seed %d: the rest", seed)
	}
	r.end() // stops the timers
}

// checkRoom compares what the room keeps count of with a recount.
func checkRoom(t *testing.T, r *room, seed uint64, step int) {
	t.Helper()
	far, late, owed, stuck := 0, 0, 0, 0
	for e := r.members.Front(); e != nil; e = e.Next() {
		m := e.Value.(*member)
		if m.far {
			far++
		}
		require.Equal(t, m.far, m.lag != nil, "seed %d step %d: a lag", seed, step)
		if m.late {
			late++
			require.True(t, m.far, "seed %d step %d: late and not far", seed, step)
		}
		if m.owed {
			owed++
			require.True(t, m.far && !m.late && m.at >= 0, "seed %d step %d: owed, and not by the sweep", seed, step)
		}
		if m.stuck {
			stuck++
			require.True(t, m.far, "seed %d step %d: stuck and not far", seed, step)
		}
		if m.at >= 0 {
			require.Nil(t, m.scratch, "seed %d step %d: a buffer that nobody uses", seed, step)
			require.Same(t, m, (*r.restingLocked(m))[m.at], "seed %d step %d: index of those without a writer", seed, step)
			require.Equal(t, r.log.end, r.posLocked(m), "seed %d step %d: the sweep is over and something is owed", seed, step)
		}
		if m.idle() {
			require.Nil(t, m.cur.chunk, "seed %d step %d: an idle member pins the log", seed, step)
		}
	}
	require.Equal(t, []int{far, late, owed, stuck}, []int{r.pace.far, r.pace.late, r.pace.owed, r.pace.stuck}, "seed %d step %d: far, late, owed, stuck", seed, step)
	if r.pace.held {
		require.True(t, r.mustHoldLocked(), "seed %d step %d: held without a reason", seed, step)
	}
	if r.pace.held && late > 0 {
		require.NotNil(t, r.pace.grace, "seed %d step %d: the late without a timer", seed, step)
	}
	if r.pace.held && r.tiedLocked() {
		require.NotNil(t, r.pace.tie, "seed %d step %d: a tie without a timer", seed, step)
	}
	require.Equal(t, r.pace.held || r.waiting > 0, r.watched.Load(), "seed %d step %d: watched", seed, step)
}

// The sweep serves its members in turn, also when each would take much more: a
// room that is ahead of its sweep does not leave the last of them behind.
func TestSweepIsFair(t *testing.T) {
	const messages, size = 300, 10_000
	r := newRoom(DefaultBacklog)
	r.sweeping = true // the test sweeps
	members := make([]*modelMember, 3)
	got := make([]int, len(members))
	for i := range members {
		m := &modelMember{member: &member{at: -1}}
		m.out, m.sweeps = m, true
		m.take = func(p []byte) int {
			got[i] += len(p)
			require.LessOrEqual(t, got[i]-slices.Min(got), sweepQuantum+maxChunk, "member %d is ahead of others", i)
			return len(p)
		}
		require.NoError(t, r.join(m.member))
		members[i] = m
	}
	prefix := AppendFrame(nil, []byte("host"))
	for range messages {
		require.NoError(t, r.broadcast(prefix, make([]byte, size)))
	}
	round := sweepRounds.Get().(*sweepRound)
	for r.startRound(round) {
		round.run()
	}
	for i := range got {
		require.Equal(t, messages*(len(prefix)+headerLen+size), got[i], "member %d", i)
	}
}

// When the sweep is a whole backlog behind, its members are not slow: the room is
// held until it has caught up, and one that then takes nothing has its grace.
func TestSweepBehindEvictsNobody(t *testing.T) {
	for _, slow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const backlog = 64 << 10
			r := newRoom(backlog)
			r.sweeping = true // the test sweeps
			members := make([]*modelMember, 5)
			for i := range members {
				m := &modelMember{member: &member{at: -1}}
				m.prefix = AppendFrame(nil, []byte("name"))
				m.out, m.sweeps = m, i < 2 // more than half are at the end of the log
				m.take = func(p []byte) int {
					if slow && i == 0 {
						return 0
					}
					return len(p)
				}
				require.NoError(t, r.join(m.member))
				members[i] = m
			}
			held := func() bool {
				var st Stats
				r.stats(&st)
				return st.Held
			}
			for !held() {
				require.NoError(t, r.publish(members[4].member, [][]byte{make([]byte, 1000)}))
				for _, m := range members[2:4] {
					for run := r.next(m.member); len(run) > 0; run = r.next(m.member) {
						r.wrote(m.member, len(run))
					}
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			require.True(t, held(), "for as long as the sweep takes")
			round := sweepRounds.Get().(*sweepRound)
			for r.startRound(round) {
				round.run()
			}
			if slow {
				require.True(t, held())
				time.Sleep(maxGrace)
				synctest.Wait()
			}
			require.False(t, held())
			require.NoError(t, r.publish(members[4].member, [][]byte{make([]byte, 3000)}))
			require.Equal(t, slow, members[0].evicted)
			require.False(t, members[1].evicted)
			r.end() // stops the timers
		})
	}
}

// A member that was waited for and has caught up is waited for again, also if it
// did so while nobody watched, and the next that is published puts it far behind
// at once.
func TestLateAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const backlog = 64 << 10
		r := newRoom(backlog)
		members := make([]*modelMember, 4)
		for i := range members {
			m := &modelMember{member: &member{at: -1}}
			m.prefix = AppendFrame(nil, []byte("name"))
			m.out = m
			require.NoError(t, r.join(m.member))
			members[i] = m
		}
		takeAll := func(m *modelMember) {
			for run := r.next(m.member); len(run) > 0; run = r.next(m.member) {
				r.wrote(m.member, len(run))
			}
		}
		slow, others := members[0], members[1:]
		publish := func(size int) {
			require.NoError(t, r.publish(others[0].member, [][]byte{make([]byte, size)}))
			for _, m := range others[1:] {
				takeAll(m)
			}
		}
		held := func() bool {
			var st Stats
			r.stats(&st)
			return st.Held
		}
		for !held() {
			publish(1000)
		}
		time.Sleep(maxGrace)
		synctest.Wait()
		require.False(t, held(), "the grace is over")
		takeAll(slow)
		publish(40_000)
		publish(40_000)
		require.False(t, held())
		publish(40_000)
		require.False(t, slow.evicted)
		require.True(t, held(), "a second time")
		r.end() // stops the timers
	})
}

// A member that is always a little behind, and publishes all the time, does not
// make the room keep skips that it has passed.
func TestPassedSkipsAreForgotten(t *testing.T) {
	r := newRoom(1 << 20)
	join := func() *modelMember {
		m := &modelMember{member: &member{at: -1}}
		m.prefix = AppendFrame(nil, []byte("name"))
		m.out, m.sweeps = m, true
		m.take = func([]byte) int { return 0 }
		require.NoError(t, r.join(m.member))
		return m
	}
	m, other := join(), join()
	r.leaveSweep(other.member)
	other.take = func(p []byte) int { return len(p) }
	r.leaveSweep(m.member) // it has a writer: the test
	const rounds = 20_000
	for range rounds {
		require.NoError(t, r.publish(m.member, [][]byte{[]byte("own")}))
		require.NoError(t, r.publish(other.member, [][]byte{make([]byte, 10_000)}))
		if r.log.end-m.cur.pos() > 100_000 { // so much, it stays behind: a tenth of the backlog
			r.wrote(m.member, len(r.next(m.member)))
		}
		other.cur, other.pending = r.log.cursor(), nil
		other.pos.Store(r.log.end)
	}
	require.Less(t, r.log.end-m.cur.pos(), int64(200_000))
	require.Less(t, len(m.skips), 100, "of %d rounds", rounds)
}

//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// failureMembers is how many members each group has.
	failureMembers = 10

	// failureInterval is from one message to the next.
	failureInterval = 5 * time.Millisecond

	// failurePatience is how long recovery may take until it counts as failed.
	failurePatience = 2 * time.Minute

	// majorityDown is how long the engine has no majority.
	majorityDown = 3 * time.Second
)

var failuresScenario = &scenario{
	name:  "cluster/failures",
	title: "Recovery of servers that share a room",
	text: fmt.Sprintf("%d groups of %d members, each on a server of its own. One member sends a message every %d ms, before, during and after. "+
		"What the columns name is killed with SIGKILL; two of the engine's servers are its majority. "+
		"A run counts only if all that was sent has reached everyone who is left exactly once.",
		sharedGroups, failureMembers, failureInterval.Milliseconds()),
	only:  "chatroom-order-3",
	apart: true,
	columns: []column{
		{label: "the stream's leader", run: failureOf(killLeader)},
		{label: "a chat server", run: failureOf(killChatServer)},
		{label: fmt.Sprintf("the engine's majority, back after %.0f s", majorityDown.Seconds()), run: failureOf(loseMajority)},
	},
	figures: []figure{
		{title: "From the kill, or from the majority's return, until every server delivers something that was sent after it", unit: "ms"},
		{title: "The longest that a message was under way", unit: "ms"},
	},
}

// failureOf measures a failure. fail makes it happen while f goes on, and returns when recovery
// begins.
func failureOf(fail func(f *flow, r *sharedRoom) (time.Time, error)) func(*peer, settings) ([]float64, error) {
	return func(p *peer, s settings) ([]float64, error) {
		room, err := startShared(p)
		if err != nil {
			return nil, err
		}
		defer room.stop()
		l, err := fillShared(p, room, failureMembers)
		if err != nil {
			return nil, err
		}
		defer l.close()
		f, err := newFlow(l)
		if err != nil {
			return nil, err
		}
		defer f.stop()
		if err := f.goOn(s.duration); err != nil {
			return nil, err
		}
		since, err := fail(f, room)
		if err != nil {
			return nil, err
		}
		if err := f.awaitSentAfter(since); err != nil {
			return nil, err
		}
		recovered := time.Since(since)
		if err := f.goOn(s.duration); err != nil {
			return nil, err
		}
		return []float64{1e3 * recovered.Seconds(), 1e3 * f.longest.Seconds()}, f.finish()
	}
}

func killLeader(_ *flow, r *sharedRoom) (time.Time, error) {
	leader, _, err := r.engine.leader()
	if err != nil {
		return time.Time{}, err
	}
	leader.kill()
	return time.Now(), nil
}

// killChatServer kills the last server. The others' members go on.
func killChatServer(f *flow, r *sharedRoom) (time.Time, error) {
	last := len(r.servers) - 1
	f.leave(last)
	r.servers[last].stop()
	r.servers = r.servers[:last]
	return time.Now(), nil
}

// loseMajority kills the leader and another one, and starts them again.
func loseMajority(f *flow, r *sharedRoom) (time.Time, error) {
	leader, others, err := r.engine.leader()
	if err != nil {
		return time.Time{}, err
	}
	leader.kill()
	others[0].kill()
	if err := f.goOn(majorityDown); err != nil {
		return time.Time{}, err
	}
	err = r.engine.start(leader, others[0])
	return time.Now(), err
}

// A flow is one member of a load that sends a stamped message at each interval.
type flow struct {
	*load
	sender  *member
	payload []byte
	next    time.Time // when the next message is due
	longest time.Duration
	newest  map[*member]time.Time // when the newest message was sent that an observer has received
	left    []*member             // who is not counted any more
}

// newFlow returns the flow of a load from fillShared. Its sender is in the first group.
func newFlow(l *load) (*flow, error) {
	f := &flow{
		load:    l,
		sender:  l.members[0],
		payload: newPayload(),
		next:    time.Now(),
		newest:  make(map[*member]time.Time),
	}
	for _, m := range l.members {
		if m.observed {
			f.newest[m] = time.Time{}
		}
	}
	l.stamps = func(m *member, d time.Duration) {
		if d >= 0 {
			f.longest = max(f.longest, d)
			f.newest[m] = time.Now().Add(-d)
		}
	}
	return f, l.startTicker(failureInterval)
}

// stop ends the flow.
func (f *flow) stop() {
	f.stopTicker()
	for _, m := range f.left {
		_ = unix.Close(m.fd)
	}
}

// goOn sends, and reads, for as long as d.
func (f *flow) goOn(d time.Duration) error {
	for until := time.Now().Add(d); time.Now().Before(until); {
		if err := f.step(); err != nil {
			return err
		}
	}
	return nil
}

// step sends what is due, and reads what comes until the next message is due.
func (f *flow) step() error {
	if now := time.Now(); !now.Before(f.next) {
		f.next = now.Add(failureInterval)
		for _, m := range f.members {
			if m != f.sender || m.echo {
				m.want += int64(m.delivery)
			}
		}
		f.sender.want += int64(f.sender.receipt)
		appendStamp(f.payload[:0], now)
		if err := f.send(f.sender, f.sender.encode(f.payload)); err != nil {
			return err
		}
	}
	return f.poll(failureInterval)
}

// awaitSentAfter goes on until every observer has received something that was sent after t.
func (f *flow) awaitSentAfter(t time.Time) error {
	for deadline := time.Now().Add(failurePatience); ; {
		missing := 0
		for _, newest := range f.newest {
			if !newest.After(t) {
				missing++
			}
		}
		switch {
		case missing == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d observers have received nothing new after %v", missing, len(f.newest), failurePatience)
		}
		if err := f.step(); err != nil {
			return err
		}
	}
}

// leave has a group's members count no more. Their connections stay open.
func (f *flow) leave(group int) {
	f.members = slices.DeleteFunc(f.members, func(m *member) bool {
		if m.group != group {
			return false
		}
		delete(f.newest, m)
		f.left = append(f.left, m)
		_ = unix.EpollCtl(f.epoll, unix.EPOLL_CTL_DEL, m.fd, nil) // it is there
		return true
	})
}

// finish waits for what was sent, and checks that it was delivered exactly once.
func (f *flow) finish() error {
	f.countMissing(f.members)
	if err := f.await(patience); err != nil {
		return err
	}
	return f.verify()
}

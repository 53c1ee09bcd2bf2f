package chatroomtest

import (
	"context"
	"time"

	"example.com/chatroom"
)

// never is no time at all, for awaitLocked.
const never = -1

// send carries batches from the server into the sequence. It runs on a goroutine of its
// own, which ends with Close.
func (e *OrderEnd) send() {
	e.order.mu.Lock()
	defer e.order.mu.Unlock()
	for e.awaitLocked(e.ctx, e.sendsInLocked) == nil && !e.closed {
		b := e.outbox[0]
		e.outbox = e.outbox[1:]
		e.latest = b
		e.order.appendLocked(b)
	}
}

// sendsInLocked returns how long it takes until there is something to send. order.mu must
// be held.
func (e *OrderEnd) sendsInLocked() time.Duration {
	if e.stalled || len(e.outbox) == 0 {
		return never
	}
	return e.arrivesInLocked(e.outbox[0])
}

// arrivesInLocked returns how long b, which is in the outbox or the inbox, still takes.
// order.mu must be held.
func (e *OrderEnd) arrivesInLocked(b ordered) time.Duration {
	return max(e.latency-time.Since(b.since), 0)
}

// read carries batches from the sequence to the server. It runs on a goroutine of its own,
// which ends with Close, or with its server.
func (e *OrderEnd) read() {
	for {
		d, ok := e.take()
		switch {
		case !ok:
			return
		case d.lost:
			e.server.Disconnect(d.reason)
		default:
			if err := e.server.Deliver(e.ctx, d.own, d.batches...); err != nil {
				e.set(e.closeLocked) // the server has ended, or this end has
				return
			}
		}
		e.set(func() { e.settleLocked(d.upTo) })
	}
}

// A delivery is what the reader does next.
type delivery struct {
	lost    bool // report a loss
	reason  error
	own     bool // the batches are of this end's server
	batches []chatroom.Batch
	upTo    uint64 // how many of the server's batches have settled with it; zero is no change
}

// take returns what the reader does next, once there is something. It reports false when
// the end is closed.
func (e *OrderEnd) take() (d delivery, ok bool) {
	e.order.mu.Lock()
	defer e.order.mu.Unlock()
	for len(d.batches) == 0 && !d.lost {
		if e.awaitLocked(e.ctx, e.deliversInLocked) != nil || e.closed {
			return d, false
		}
		if e.losing {
			d = delivery{lost: true, reason: e.lossReason, upTo: e.taken[e]}
			e.losing = false
		} else {
			d = e.takeRunLocked()
		}
	}
	return d, true
}

// deliversInLocked returns how long it takes until the reader has something to do. order.mu
// must be held.
func (e *OrderEnd) deliversInLocked() time.Duration {
	switch {
	case e.stalled:
		return never
	case e.losing:
		return 0
	case len(e.inbox) == 0:
		return never
	}
	return e.arrivesInLocked(e.inbox[0])
}

// takeRunLocked takes what can be delivered in one call off the inbox, and drops repeats.
// order.mu must be held.
func (e *OrderEnd) takeRunLocked() (d delivery) {
	for len(e.inbox) > 0 && len(d.batches) < maxRun {
		b := e.inbox[0]
		repeated := b.n <= e.taken[b.from]
		if !repeated && (len(d.batches) > 0 && d.own != (b.from == e) || e.arrivesInLocked(b) > 0) {
			break
		}
		e.inbox = e.inbox[1:]
		if repeated {
			continue
		}
		e.taken[b.from] = b.n
		d.own = b.from == e
		d.batches = append(d.batches, b.batch)
		if d.own {
			d.upTo = b.n
		}
	}
	return d
}

// settleLocked notes that the server's batches have settled, up to the n'th. order.mu must
// be held.
func (e *OrderEnd) settleLocked(n uint64) {
	for ; e.settled < n; e.settled++ {
		e.underWay -= e.sizes[0]
		e.sizes = e.sizes[1:]
	}
}

// awaitLocked waits until dueIn returns zero: it is called again when that many time has
// passed, or when something changes. It returns ctx.Err() if ctx ends first. order.mu must
// be held, and is released while it waits.
func (e *OrderEnd) awaitLocked(ctx context.Context, dueIn func() time.Duration) error {
	for {
		d := dueIn()
		if d == 0 {
			return nil
		}
		if e.changed == nil {
			e.changed = make(chan struct{})
		}
		changed := e.changed
		var due <-chan time.Time
		if d != never {
			due = time.After(d)
		}
		e.order.mu.Unlock()
		select {
		case <-changed:
		case <-due:
		case <-ctx.Done():
		}
		e.order.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// notifyLocked wakes all who wait for a change. order.mu must be held.
func (e *OrderEnd) notifyLocked() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

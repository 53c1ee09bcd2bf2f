package chatroomtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/chatroom"
)

// defaultOrderLimit is how many bytes an end has under way by default.
const defaultOrderLimit = 1 << 20

// maxRun is how many batches an end delivers in one call.
const maxRun = 16

// An Order is a sequence of messages that several servers share, in memory. Each server
// has an end of it:
//
//	order := chatroomtest.NewOrder(t) // before the servers
//	s1 := chatroomtest.NewServer(t, chatroom.WithOrder(order.NewEnd()))
//	s2 := chatroomtest.NewServer(t, chatroom.WithOrder(order.NewEnd()))
//	alice, bob := s1.Join("alice"), s2.Join("bob")
//	alice.Send("hello")
//	bob.Want("alice", "hello")
//
// All methods are safe for concurrent use.
type Order struct {
	// mu guards the fields below, and those of the ends that say so. It is never held
	// while waiting.
	mu   sync.Mutex
	ends []*OrderEnd // that have a server and are not closed
	all  []*OrderEnd // that were made
}

// NewOrder returns an order without ends. Its ends are closed by tb.Cleanup. Make it
// before the servers that use it, so that they are shut down first: what they have
// submitted comes back to them until then.
//
// Inside a [testing/synctest] bubble call it inside the bubble, with the bubble's T.
func NewOrder(tb testing.TB) *Order {
	tb.Helper()
	o := &Order{}
	tb.Cleanup(o.cleanup)
	return o
}

func (o *Order) cleanup() {
	o.mu.Lock()
	all := o.all
	o.mu.Unlock()
	for _, e := range all {
		e.Close()
	}
}

// NewEnd returns the end of one server, for [chatroom.WithOrder]. The end takes part in
// the order from when its server is made. What is in the sequence by then, the server
// does not receive.
func (o *Order) NewEnd() *OrderEnd {
	o.mu.Lock()
	defer o.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	e := &OrderEnd{order: o, ctx: ctx, cancel: cancel, limit: defaultOrderLimit, taken: make(map[*OrderEnd]uint64)}
	o.all = append(o.all, e)
	return e
}

// An ordered is a batch in the order, or on its way there.
type ordered struct {
	from  *OrderEnd
	n     uint64 // the batch is from's n'th; the first is 1
	batch chatroom.Batch
	since time.Time // when it was submitted, or came into the sequence
}

// appendLocked puts b into the sequence. o.mu must be held.
func (o *Order) appendLocked(b ordered) {
	b.since = time.Now()
	for _, e := range o.ends {
		e.inbox = append(e.inbox, b)
		e.notifyLocked()
	}
}

// An OrderEnd is one server's end of an [Order], and can be made bad: far, stalled,
// unavailable, or one that loses messages. What is set holds from then on. All methods are
// safe for concurrent use.
//
// Two goroutines of the end, which its server starts and [OrderEnd.Close] ends, carry
// batches into the sequence and from there to the server. An end waits for its server and
// timers only, so in a [testing/synctest] bubble it blocks durably and its times are exact.
type OrderEnd struct {
	// Fixed after construction.
	order   *Order
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // counts the end's goroutines

	// order.mu guards the fields below.
	server  *chatroom.Server     // nil until Attach
	outbox  []ordered            // submitted, and not in the sequence yet
	inbox   []ordered            // in the sequence, and not on its way to the server yet
	taken   map[*OrderEnd]uint64 // how many batches of each end are on their way to the server, delivered or lost
	changed chan struct{}        // closed when any of these changes; nil while nobody waits

	// What the server has submitted. Batches settle in sequence.
	submitted uint64  // batches
	settled   uint64  // of these, delivered to the server or reported lost
	sizes     []int   // of the batches that have not settled, in bytes
	underWay  int     // their sum
	latest    ordered // the last that is in the sequence; its n is zero if there is none

	// Faults.
	latency     time.Duration
	limit       int
	stalled     bool
	unavailable bool
	closed      bool
	losing      bool  // a loss is to be reported
	lossReason  error // with this reason
}

var _ chatroom.Order = (*OrderEnd)(nil)

// errAttached reports an end that two servers use.
var errAttached = errors.New("chatroomtest: an end of an order is for one server; make another with NewEnd")

// Attach is for the server, which calls it when it is made. An end is for one server.
func (e *OrderEnd) Attach(s *chatroom.Server) {
	o := e.order
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case e.server != nil:
		panic(errAttached)
	case e.closed:
		return
	}
	e.server = s
	for _, other := range o.ends {
		e.taken[other] = other.latest.n // a repeat of these is no news
	}
	o.ends = append(o.ends, e)
	e.running.Go(e.send)
	e.running.Go(e.read)
}

// Submit is for the server: it implements [chatroom.Order]. It waits while as many bytes
// as the limit are under way.
func (e *OrderEnd) Submit(ctx context.Context, b chatroom.Batch) error {
	o := e.order
	o.mu.Lock()
	defer o.mu.Unlock()
	err := e.awaitLocked(ctx, func() time.Duration {
		if e.closed || e.unavailable || e.limit < 0 || e.underWay < e.limit {
			return 0
		}
		return never
	})
	switch {
	case e.closed || e.unavailable:
		return chatroom.ErrUnavailable
	case err != nil:
		return err
	}
	b.Frames, b.Except = slices.Clone(b.Frames), slices.Clone(b.Except)
	e.submitted++
	e.sizes = append(e.sizes, len(b.Frames))
	e.underWay += len(b.Frames)
	e.outbox = append(e.outbox, ordered{from: e, n: e.submitted, batch: b, since: time.Now()})
	e.notifyLocked()
	return nil
}

// Settle is for the server: it implements [chatroom.Order]. After [OrderEnd.Close] it
// returns [chatroom.ErrUnavailable] if something has not settled by then.
func (e *OrderEnd) Settle(ctx context.Context) error {
	o := e.order
	o.mu.Lock()
	defer o.mu.Unlock()
	upTo := e.submitted
	err := e.awaitLocked(ctx, func() time.Duration {
		if e.closed || e.settled >= upTo {
			return 0
		}
		return never
	})
	if err == nil && e.settled < upTo {
		err = chatroom.ErrUnavailable
	}
	return err
}

// SetLatency sets how long each batch takes from the server into the sequence, and how
// long from there to the server: what the server itself publishes takes twice as long to
// come back to it. Zero and negative are no latency.
func (e *OrderEnd) SetLatency(d time.Duration) {
	e.set(func() { e.latency = max(d, 0) })
}

// SetLimit sets how many bytes of what the server has submitted are under way, until they
// have come back to it. Submitting waits while as many are. A batch is not divided, so
// there may be more by one batch. Zero is the default of 1 MiB, negative is no limit.
func (e *OrderEnd) SetLimit(bytes int) {
	if bytes == 0 {
		bytes = defaultOrderLimit
	}
	e.set(func() { e.limit = bytes })
}

// Stall cuts the end off from the order. What the server submits waits at this end, and
// what others say waits for it, until [OrderEnd.Resume]. What is being delivered still is.
// Shutdown of a server waits for what is under way, so resume or close a stalled end
// before the test ends.
func (e *OrderEnd) Stall() { e.set(func() { e.stalled = true }) }

// Resume ends what Stall began.
func (e *OrderEnd) Resume() { e.set(func() { e.stalled = false }) }

// SetAvailable sets whether the server can submit. While it cannot, Submit returns
// [chatroom.ErrUnavailable], also to those who wait in it. What was submitted before is
// not affected.
func (e *OrderEnd) SetAvailable(available bool) {
	e.set(func() { e.unavailable = !available })
}

// Lose has the server miss what is in the sequence and not on its way to the server yet,
// and reports that: the server's members are disconnected with the reason before the
// server receives anything that follows. A stalled end reports it once it is resumed.
// What the server has submitted and is not in the sequence yet is not lost. The other
// servers miss nothing.
func (e *OrderEnd) Lose(reason error) {
	e.set(func() {
		for _, b := range e.inbox {
			e.taken[b.from] = max(e.taken[b.from], b.n)
		}
		e.inbox = nil
		e.losing, e.lossReason = true, reason
	})
}

// Repeat puts the latest batch of this end that is in the sequence there once more, as an
// end does that does not know whether the order has it. The ends drop repeats, so that no
// server receives one.
func (e *OrderEnd) Repeat() {
	e.set(func() {
		if e.latest.n > 0 && !e.closed {
			e.order.appendLocked(e.latest)
		}
	})
}

// Close ends the end and waits until its goroutines have ended. What is under way is
// dropped, and Submit returns [chatroom.ErrUnavailable]. Close may be called more than
// once. It is called by the clean-up of [NewOrder].
func (e *OrderEnd) Close() {
	e.set(e.closeLocked)
	e.running.Wait()
}

// closeLocked ends the end. order.mu must be held.
func (e *OrderEnd) closeLocked() {
	e.closed = true
	e.cancel()
	e.outbox, e.inbox = nil, nil
	e.order.ends = slices.DeleteFunc(e.order.ends, func(other *OrderEnd) bool { return other == e })
}

func (e *OrderEnd) set(change func()) {
	e.order.mu.Lock()
	defer e.order.mu.Unlock()
	change()
	e.notifyLocked()
}

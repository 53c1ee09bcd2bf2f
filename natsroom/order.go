package natsroom

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	crand "crypto/rand"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/chatroom"
)

// ErrGap is why members are disconnected if their server has missed messages of the order, or
// may have. The error that wraps it says why.
var ErrGap = errors.New("natsroom: messages missed")

// An Order is a [chatroom.Order] that servers share through a stream of an engine. It serves
// one server: give it to one [chatroom.NewServer]. All methods are safe for concurrent use.
type Order struct {
	// Fixed after construction.
	name        string
	subjects    subjects
	cfg         config
	nc          *nats.Conn
	js          jetstream.JetStream
	incarnation uint64
	log         *slog.Logger
	ctx         context.Context // ends with the order
	cancel      context.CancelFunc
	running     sync.WaitGroup

	server *chatroom.Server // set by Attach, before anything runs

	work  chan struct{} // has room for one token: there is something to publish
	nudge chan struct{} // has room for one token: the reader is to begin anew
	ready chan struct{} // closed by the reader, once the first own message has come back

	reader reader // owned by the reader's goroutine

	// mu guards the fields below.
	mu      sync.Mutex
	state   State
	health  health
	out     outbox
	turns   []chan struct{} // who waits to submit; each takes one token when it may be its turn
	settled chan struct{}   // closed and replaced when something has come back or is lost
	beatDue bool
	busy    bool // the reader waits for members of its server
	at      position
	peers   peers
	counts  counts
}

// A position is how far the reader has come in the stream, and how far that goes.
type position struct {
	created  time.Time // when the stream was made
	cursor   uint64    // the sequence of the last message that was read
	readAt   time.Time // when the stream took that message
	last     uint64    // the sequence of the last message that is known of
	first    uint64    // that of the first one
	bytes    uint64    // what the stream keeps
	maxBytes int64     // what it may keep, or less than 1
	maxAge   time.Duration
}

// Open opens the order of that name, which all servers share that open it: it makes the stream
// if there is none. The name has up to 64 letters, digits, - and _. The connection should be
// from [Connect], and remains the caller's. Open blocks until the engine has answered, or ctx ends;
// later ctx has no effect.
func Open(ctx context.Context, nc *nats.Conn, name string, opts ...Option) (*Order, error) {
	s, err := newSubjects(name)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("natsroom: open %q: %w", name, err)
	}
	o := &Order{
		name:        name,
		subjects:    s,
		cfg:         newConfig(opts),
		nc:          nc,
		js:          js,
		incarnation: newIncarnation(),
		work:        make(chan struct{}, 1),
		nudge:       make(chan struct{}, 1),
		ready:       make(chan struct{}),
		settled:     make(chan struct{}),
	}
	o.peers = newPeers(holdBeats * o.cfg.beat)
	o.log = o.cfg.logger.With("order", name)
	o.health = health{hold: holdBeats * o.cfg.beat, outage: o.cfg.outage, spread: o.cfg.spread}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.reader.tracker = newTracker()
	if most := nc.MaxPayload(); most < int64(o.cfg.fragment+headroom) {
		return nil, fmt.Errorf("natsroom: open %q: the engine takes %d bytes a message, want %d", name, most, o.cfg.fragment+headroom)
	}
	if nc.Opts.MaxReconnect >= 0 {
		o.log.Warn("connection", "error", "it gives up when it cannot reconnect for long")
	}
	info, err := o.awaitStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("natsroom: open %q: %w", name, err)
	}
	o.begin(info)
	return o, nil
}

// newIncarnation returns a number that no other order has, all but certainly.
func newIncarnation() uint64 {
	var b [8]byte
	if _, err := crand.Read(b[:]); err != nil {
		return rand.Uint64()
	}
	return binary.BigEndian.Uint64(b[:])
}

// Attach implements [chatroom.Order]. NewServer calls it. It panics if the order has a server.
func (o *Order) Attach(s *chatroom.Server) {
	if o.server != nil {
		panic("natsroom: an Order serves one Server")
	}
	o.server = s
	o.running.Go(o.runReader)
	o.running.Go(o.runPublisher)
	o.running.Go(o.runMonitor)
	o.running.Go(o.runSurvey)
	o.running.Go(o.watchConn)
	o.running.Go(o.answerWho)
}

// Submit implements [chatroom.Order]. It waits while 1 MiB is on its way, while the server is
// out of order, and while servers with more than half of all members are far behind.
func (o *Order) Submit(ctx context.Context, b chatroom.Batch) error {
	u, err := newUnit(b)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enterLocked(ctx, u.size); err != nil {
		return err
	}
	o.out.add(u)
	o.counts.submitted++
	signal(o.work)
	o.passTurnLocked()
	return nil
}

// enterLocked waits until the caller may add a unit of that size: there is room, the server is
// in order, and all who came before have added theirs. o.mu must be held, and is released
// while it waits.
func (o *Order) enterLocked(ctx context.Context, size int) error {
	if len(o.turns) == 0 && o.takesLocked(size) {
		return nil
	}
	turn := make(chan struct{}, 1)
	o.turns = append(o.turns, turn)
	defer o.dropTurnLocked(turn)
	for o.turns[0] != turn || !o.takesLocked(size) {
		if err := o.refusalLocked(); err != nil {
			return err
		}
		o.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
		}
		o.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// dropTurnLocked has a turn wait no more, and passes the turn on. o.mu must be held.
func (o *Order) dropTurnLocked(turn chan struct{}) {
	for i, other := range o.turns {
		if other == turn {
			o.turns = append(o.turns[:i], o.turns[i+1:]...)
			break
		}
	}
	o.passTurnLocked()
}

// takesLocked reports whether a unit of that size may be added. o.mu must be held.
func (o *Order) takesLocked(size int) bool {
	return o.state == InOrder && !o.peers.paced && o.out.takes(size, o.cfg.underWay)
}

// refusalLocked returns why nothing is published, or nil. o.mu must be held.
func (o *Order) refusalLocked() error {
	if o.state == Out || o.state == Closed {
		return fmt.Errorf("natsroom: %v: %w", o.state, chatroom.ErrUnavailable)
	}
	return nil
}

// passTurnLocked has the first of those who wait to submit look whether it may. Once nothing is
// published, all do. o.mu must be held.
func (o *Order) passTurnLocked() {
	for i, turn := range o.turns {
		if i == 0 || o.refusalLocked() != nil {
			signal(turn)
		}
	}
}

// signal puts a token into ch, which has room for one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it holds one already
	}
}

// Settle implements [chatroom.Order].
func (o *Order) Settle(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for upTo := o.out.added; o.out.done < upTo; {
		if o.state == Closed {
			return fmt.Errorf("natsroom: %v: %w", o.state, chatroom.ErrUnavailable)
		}
		settled := o.settled
		o.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
		}
		o.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// settleLocked tells those who wait in Settle to look again, and those who wait in Submit. o.mu
// must be held.
func (o *Order) settleLocked() {
	close(o.settled)
	o.settled = make(chan struct{})
	o.passTurnLocked()
}

// Admit is what the server asks before its admit hooks. It refuses connections with
// [chatroom.ErrUnavailable] while the server is out of order and has no use for members. A
// server that has just started lets them wait until it has read the stream to its end.
func (o *Order) Admit(ctx context.Context, _ *chatroom.Join) error {
	select {
	case <-o.ready:
	case <-o.ctx.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state >= Leaving {
		return fmt.Errorf("natsroom: %v: %w", o.state, chatroom.ErrUnavailable)
	}
	return nil
}

// Close ends the order: the server receives nothing more, and publishes nothing more. Call it
// when the server has ended. What is on its way may reach the other servers or not. Close
// waits for what it has started, for a moment. It may be called more than once.
func (o *Order) Close() {
	o.mu.Lock()
	wasClosed := o.state == Closed
	o.state = Closed
	o.settleLocked()
	o.mu.Unlock()
	o.cancel()
	o.running.Wait()
	if !wasClosed && o.server != nil {
		o.sayBye()
	}
}

var _ chatroom.Order = (*Order)(nil)

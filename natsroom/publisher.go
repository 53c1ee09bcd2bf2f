package natsroom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// engineRate is how many messages a second the servers together have the engine deliver at most.
const engineRate = 200_000

// lingerFor returns how long a server gathers what is submitted, from one message of its to the
// next. Each server's messages are delivered to all servers, so the rate of each goes down with
// the square of how many there are. With three it is no limit, with a hundred it is 20 a second.
func lingerFor(servers int) time.Duration {
	return time.Duration(servers) * time.Duration(servers) * time.Second / engineRate
}

// maxPause is how long the publisher waits at most before it sends a message again.
const maxPause = time.Second

// runPublisher publishes what was submitted, and beats, one message at a time: the next one
// when the stream has the last. What is submitted meanwhile goes together. It ends with the
// order.
func (o *Order) runPublisher() {
	for {
		select {
		case <-o.work:
		case <-o.ctx.Done():
			return
		}
		for began := time.Now(); o.publishSome(); began = time.Now() {
			o.linger(began)
		}
	}
}

// linger waits until the next message may be published after one that was begun then.
func (o *Order) linger(began time.Time) {
	o.mu.Lock()
	left := time.Until(began.Add(lingerFor(len(o.peers.all))))
	o.mu.Unlock()
	if left <= 0 {
		return
	}
	select {
	case <-time.After(left):
	case <-o.ctx.Done():
	}
}

// publishSome publishes a beat if one is due, or else some of what was submitted. It reports
// whether there was anything.
func (o *Order) publishSome() bool {
	if o.ctx.Err() != nil {
		return false
	}
	o.mu.Lock()
	if o.beatDue {
		o.beatDue = false
		b := o.beatLocked()
		o.mu.Unlock()
		o.publish(o.subjects.beat, kindBeat, b.append(nil), &flight{})
		return true
	}
	units := o.out.take(o.cfg.fragment)
	o.mu.Unlock()
	if len(units) == 0 {
		return false
	}
	o.publishUnits(units)
	return true
}

func (o *Order) publishUnits(units []unit) {
	subject, named := o.subjects.rooms, true
	if isOneRoom(units) {
		subject, named = o.subjects.room+escapeRoom(units[0].Room), false
	}
	f := &flight{units: len(units)}
	var body []byte
	for _, u := range units {
		body = appendUnit(body, u.Batch, named)
		f.bytes += u.size
	}
	if len(body) <= o.cfg.fragment {
		o.publish(subject, kindUnits, body, f)
		return
	}
	for offset := 0; offset < len(body); offset += o.cfg.fragment { // take returns one unit then
		end := min(offset+o.cfg.fragment, len(body))
		part := fragment{uint64(offset), uint64(len(body)), body[offset:end]}
		last := &flight{}
		if end == len(body) {
			last = f
		}
		if !o.publish(subject, kindFragment, part.append(nil), last) {
			return
		}
	}
}

func isOneRoom(units []unit) bool {
	for _, u := range units {
		if u.All || u.Room != units[0].Room {
			return false
		}
	}
	return true
}

// publish has the stream take a message, however long that takes. It sends it under the same id
// until it is acknowledged or has come back. It reports false if the order is closed first.
func (o *Order) publish(subject string, kind byte, body []byte, f *flight) bool {
	var ctx context.Context
	ctx, f.back = context.WithCancel(o.ctx)
	defer f.back()
	o.mu.Lock()
	o.out.start(f)
	o.mu.Unlock()
	m := o.newMsg(subject, envelope{kind, o.incarnation, f.n}, body)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, maxPause) {
		attempt, cancel := context.WithTimeout(ctx, o.cfg.ackWait)
		ack, err := o.js.PublishMsg(attempt, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			o.acknowledged(f, ack.Sequence)
			return true
		}
		if ctx.Err() != nil { // it has come back, or the order is closed
			return o.ctx.Err() == nil
		}
		o.retry(f, err)
		if errors.Is(err, context.DeadlineExceeded) {
			continue // it has waited
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return o.ctx.Err() == nil
		}
	}
}

func (o *Order) newMsg(subject string, e envelope, body []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%016x.%d", e.incarnation, e.n))
	m.Header.Set(nats.ExpectedStreamHdr, o.subjects.stream)
	m.Data = append(e.append(make([]byte, 0, envelopeLen+len(body))), body...)
	return m
}

// acknowledged tells that the stream has a message at that sequence. If the reader has passed
// it, and it has not come back, it is lost to the reader.
func (o *Order) acknowledged(f *flight, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.seq = seq
	o.counts.published++
	o.at.last = max(o.at.last, seq)
	if lost := o.out.skipped(o.at.cursor, true); lost > 0 {
		o.counts.lost += uint64(lost)
	}
	o.settleLocked()
}

// retry counts an attempt that has failed.
func (o *Order) retry(f *flight, err error) {
	o.mu.Lock()
	o.counts.retries++
	o.mu.Unlock()
	o.log.Debug("publishing again", "n", f.n, "error", err)
}

// sayBye tells the others that this server is no more, if nothing is on its way. It is called
// when nothing runs any more.
func (o *Order) sayBye() {
	o.mu.Lock()
	idle := len(o.out.way) == 0 && len(o.out.queue) == 0
	o.out.lastN++
	e := envelope{kindBeat, o.incarnation, o.out.lastN}
	o.mu.Unlock()
	if idle && o.nc.IsConnected() && o.nc.PublishMsg(o.newMsg(o.subjects.beat, e, beat{bye: true}.append(nil))) == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = o.nc.FlushWithContext(ctx) // the others also notice by themselves
	}
}

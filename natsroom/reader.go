package natsroom

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/chatroom"
)

// A reader is what the reader's goroutine keeps to itself.
type reader struct {
	tracker *tracker
	batches []chatroom.Batch // memory that is used again
	shorter time.Time        // since when the stream seems shorter than what was read of it
	isReady bool
	isAway  bool // its end was logged
}

// begin has the reader begin so many messages before the stream's end.
func (o *Order) begin(info *jetstream.StreamInfo) {
	last, first := info.State.LastSeq, info.State.FirstSeq
	cursor := last - min(last, uint64(o.cfg.backfill))
	if first > 0 {
		cursor = max(cursor, first-1)
	}
	o.at = position{created: info.Created, cursor: cursor, readAt: info.State.LastTime}
	o.at.learn(info)
}

// learn takes note of how far the stream goes.
func (p *position) learn(info *jetstream.StreamInfo) {
	p.first, p.last, p.bytes = info.State.FirstSeq, info.State.LastSeq, info.State.Bytes
	p.maxBytes, p.maxAge = info.Config.MaxBytes, info.Config.MaxAge
}

// runReader reads the stream, and begins anew from its own cursor whenever anything is odd. It
// ends with the order.
func (o *Order) runReader() {
	const least, most = 50 * time.Millisecond, time.Second
	pause := least
	for {
		before := o.cursor()
		err := o.follow()
		if o.ctx.Err() != nil {
			return
		}
		if o.cursor() != before {
			pause = least
		}
		if !o.reader.isAway {
			o.reader.isAway = true
			o.log.Info("reading again", "cursor", o.cursor(), "error", err)
		}
		select {
		case <-time.After(pause):
		case <-o.nudge:
		case <-o.ctx.Done():
			return
		}
		pause = min(2*pause, most)
	}
}

func (o *Order) cursor() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.at.cursor
}

// follow reads the stream from the cursor on, until anything is odd.
func (o *Order) follow() error {
	info, err := o.findStream(o.ctx)
	if err != nil {
		return err
	}
	if err := o.compare(info); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(o.ctx, o.cfg.ackWait)
	p, err := openPull(ctx, o.nc, o.js, o.subjects.stream, o.cfg.silence, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   o.cursor() + 1,
	})
	cancel()
	if err != nil {
		return err
	}
	defer p.close()
	for {
		m, meta, err := p.next(o.ctx, o.nudge)
		if err != nil {
			return err
		}
		o.reader.isAway = false
		if got, want := meta.Sequence.Stream, o.cursor()+1; got != want {
			info, err := o.findStream(o.ctx)
			if err != nil {
				return err
			}
			o.skip(fmt.Sprintf("message %d came instead of %d", got, want), info)
			return nil
		}
		if err := o.receive(m, meta); err != nil {
			return err
		}
	}
}

// compare checks whether the stream is the one that was read, and has what follows the cursor.
func (o *Order) compare(info *jetstream.StreamInfo) error {
	o.mu.Lock()
	at := o.at
	o.at.learn(info)
	o.mu.Unlock()
	first, last := info.State.FirstSeq, info.State.LastSeq
	isShorter := last < at.cursor
	switch {
	case !info.Created.Equal(at.created):
		o.skip("the stream is another one", info)
	case first > at.cursor+1:
		o.skip(fmt.Sprintf("the stream begins at message %d, %d was read last", first, at.cursor), info)
	case isShorter && o.reader.shorter.IsZero():
		o.reader.shorter = time.Now()
		fallthrough
	case isShorter && time.Since(o.reader.shorter) < o.cfg.rewound:
		return fmt.Errorf("the stream ends at message %d, %d was read", last, at.cursor) // maybe its leader is new
	case isShorter:
		o.skip(fmt.Sprintf("the stream ends at message %d, %d was read", last, at.cursor), info)
	}
	o.reader.shorter = time.Time{}
	return nil
}

// skip goes on at the stream's end, since messages before it are missed. Those who were members
// until then are disconnected.
func (o *Order) skip(why string, info *jetstream.StreamInfo) {
	o.reader.tracker.skipped()
	o.reader.shorter = time.Time{}
	o.mu.Lock()
	sameStream := info.Created.Equal(o.at.created)
	from, to := o.at.cursor, info.State.LastSeq
	o.at.created, o.at.cursor, o.at.readAt = info.Created, to, info.State.LastTime
	o.at.learn(info)
	o.counts.lost += uint64(o.out.skipped(to, sameStream))
	o.counts.gaps++
	o.settleLocked()
	o.mu.Unlock()
	o.server.Disconnect(fmt.Errorf("%w: %s", ErrGap, why))
	o.log.Warn("gap", "reason", why, "from", from, "to", to)
}

// missed disconnects the members, since messages are lost of which the stream has no trace.
func (o *Order) missed(why string, incarnation uint64) {
	o.mu.Lock()
	o.counts.gaps++
	at := o.at.cursor
	o.mu.Unlock()
	o.server.Disconnect(fmt.Errorf("%w: %s", ErrGap, why))
	o.log.Warn("gap", "reason", why, "from", at, "to", at, "server", serverName(incarnation))
}

// receive passes one message on, and moves the cursor behind it. It fails only if the order is
// closed.
func (o *Order) receive(m *nats.Msg, meta *nats.MsgMetadata) error {
	e, body, err := decodeEnvelope(m.Data)
	if err == nil {
		switch o.reader.tracker.see(e, meta.Timestamp) {
		case isRepeat:
			o.mu.Lock()
			o.counts.repeats++
			o.mu.Unlock()
			o.log.Debug("repeat dropped", "server", serverName(e.incarnation), "n", e.n)
			o.passed(meta, envelope{}, nil)
			return nil
		case isJump:
			o.missed("messages of a server are lost", e.incarnation)
		case isNext:
		}
		switch e.kind {
		case kindBeat:
			var b beat
			if b, err = decodeBeat(body); err == nil {
				o.passed(meta, e, &b)
				return nil
			}
		case kindUnits:
			o.reader.tracker.finish()
			err = o.deliver(m.Subject, e, body)
		case kindFragment:
			err = o.deliverFragment(m.Subject, e, body)
		default:
			err = malformed(fmt.Sprintf("kind %q", e.kind))
		}
	}
	if o.ctx.Err() != nil {
		return o.ctx.Err()
	}
	if err != nil {
		o.mu.Lock()
		o.counts.malformed++
		o.mu.Unlock()
		o.log.Warn("message skipped", "sequence", meta.Sequence.Stream, "subject", m.Subject, "error", err)
	}
	o.passed(meta, e, nil)
	return nil
}

func (o *Order) deliverFragment(subject string, e envelope, body []byte) error {
	f, err := decodeFragment(body)
	if err != nil {
		return err
	}
	unit, ok := o.reader.tracker.assemble(e, f)
	if !ok {
		if o.reader.isReady {
			o.missed("the beginning of a long message was not read", e.incarnation)
		}
		return nil
	}
	if unit == nil {
		return nil
	}
	return o.deliver(subject, e, unit)
}

// deliver has the server publish the units in data.
func (o *Order) deliver(subject string, e envelope, data []byte) error {
	room, hasRoom := "", false
	if token, ok := strings.CutPrefix(subject, o.subjects.room); ok {
		var err error
		if room, err = unescapeRoom(token); err != nil {
			return malformed("room's token")
		}
		hasRoom = true
	} else if subject != o.subjects.rooms {
		return malformed("subject")
	}
	batches, err := decodeUnits(o.reader.batches[:0], data, room, hasRoom)
	o.reader.batches = batches[:0]
	if err != nil {
		return err
	}
	o.setBusy(true)
	err = o.server.Deliver(o.ctx, e.incarnation == o.incarnation, batches...)
	o.setBusy(false)
	clear(batches)
	if err != nil && !errors.Is(err, chatroom.ErrServerClosed) { // which has no members to tell
		return fmt.Errorf("deliver: %w", err)
	}
	return nil
}

func (o *Order) setBusy(busy bool) {
	o.mu.Lock()
	o.busy = busy
	o.mu.Unlock()
}

// passed moves the cursor behind a message. The zero envelope is that of a repeat.
func (o *Order) passed(meta *nats.MsgMetadata, e envelope, b *beat) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at.cursor, o.at.readAt = meta.Sequence.Stream, meta.Timestamp
	o.at.last = max(o.at.last, meta.Sequence.Stream+meta.NumPending)
	now := time.Now()
	o.peers.tick(meta.Timestamp, now)
	isOwn := e.incarnation == o.incarnation
	if !isOwn && o.out.behind(o.at.cursor) {
		o.heardLocked() // what comes back is behind this
	}
	if e.incarnation == 0 {
		return
	}
	if isOwn {
		o.counts.lost += uint64(o.out.cameBack(e.n))
		if !o.reader.isReady {
			o.reader.isReady = true
			close(o.ready)
		}
		o.heardLocked()
		o.settleLocked()
	}
	o.hearLocked(e, b, meta.Timestamp, now)
}

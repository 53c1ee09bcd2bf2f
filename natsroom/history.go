package natsroom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/chatroom"
)

// An Entry is a message that the stream keeps.
type Entry struct {
	At time.Time // when the stream took it, by the engine's clock
	chatroom.Message
}

// History returns an iterator over what was said in a room since then, and in all rooms, as far as
// the stream keeps it, up to the call's end of the stream. What messages were not for,
// [chatroom.Room.Broadcast]'s except, is not kept apart. If the stream cannot be read on, the
// iterator yields an error, and ends. Since what concerns several rooms is stored together,
// it reads more than it yields: it is for a host's archive, and not for each newcomer.
func (o *Order) History(ctx context.Context, room string, since time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := o.readHistory(ctx, room, since, yield); err != nil {
			yield(Entry{}, fmt.Errorf("natsroom: read history: %w", err))
		}
	}
}

// readHistory yields entries until yield returns false, and then returns nil.
func (o *Order) readHistory(ctx context.Context, room string, since time.Time, yield func(Entry, error) bool) error {
	s, err := o.js.Stream(ctx, o.subjects.stream)
	if err != nil {
		return err
	}
	cfg := jetstream.ConsumerConfig{
		FilterSubjects: []string{o.subjects.room + escapeRoom(room), o.subjects.rooms},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
	}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	p, err := openPull(ctx, o.nc, o.js, o.subjects.stream, o.cfg.silence, cfg)
	if err != nil {
		return err
	}
	defer p.close()
	last := s.CachedInfo().State.LastSeq
	tracker := newTracker()
	for pending := p.pending; pending > 0; {
		m, meta, err := p.next(ctx, nil)
		if err != nil {
			return err
		}
		if meta.Sequence.Stream > last {
			return nil
		}
		pending = meta.NumPending
		batches, err := o.decodeHistory(tracker, m.Subject, m.Data, meta.Timestamp)
		if err != nil {
			continue // whoever has read it has logged it
		}
		for _, b := range batches {
			if (b.All || b.Room == room) && !yieldFrames(b.Frames, meta.Timestamp, yield) {
				return nil
			}
		}
	}
	return nil
}

// decodeHistory returns the batches in a message, if they are whole and not repeated.
func (o *Order) decodeHistory(t *tracker, subject string, data []byte, at time.Time) ([]chatroom.Batch, error) {
	e, body, err := decodeEnvelope(data)
	if err != nil {
		return nil, err
	}
	if t.see(e, at) == isRepeat {
		return nil, nil
	}
	if e.kind == kindFragment {
		f, err := decodeFragment(body)
		if err != nil {
			return nil, err
		}
		if body, _ = t.assemble(e, f); body == nil {
			return nil, nil
		}
	} else if e.kind != kindUnits {
		return nil, malformed("kind")
	}
	token, hasRoom := strings.CutPrefix(subject, o.subjects.room)
	room := ""
	if hasRoom {
		if room, err = unescapeRoom(token); err != nil {
			return nil, err
		}
	}
	return decodeUnits(nil, body, room, hasRoom)
}

// yieldFrames yields the messages in frames, and reports whether to go on. What follows a
// malformed frame is skipped, as servers do.
func yieldFrames(frames []byte, at time.Time, yield func(Entry, error) bool) bool {
	r := bytes.NewReader(frames)
	for {
		from, err := chatroom.ReadFrame(r, math.MaxInt32)
		if errors.Is(err, io.EOF) || err != nil {
			return true
		}
		text, err := chatroom.ReadFrame(r, math.MaxInt32)
		if err != nil {
			return true
		}
		if !yield(Entry{At: at, Message: chatroom.Message{From: string(from), Body: text}}, nil) {
			return false
		}
	}
}

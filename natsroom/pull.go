package natsroom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullMessages and pullBytes are how much of the stream is asked for at a time. The bytes
	// are several times the longest message, since a shorter request would end there.
	pullMessages = 1024
	pullBytes    = 4 << 20

	pullExpiry    = 30 * time.Second
	pullHeartbeat = time.Second

	// noResponders is the status when nobody has seen a request. Servers of the engine that have
	// not heard of a new consumer yet answer so, and are asked again after askPause.
	noResponders = "503"
	askPause     = 20 * time.Millisecond

	// consumerExpiry is after how long the engine forgets a consumer that nobody asks.
	consumerExpiry = 30 * time.Second
)

var (
	errSilence = errors.New("the engine is silent")
	errNudged  = errors.New("told to begin anew")
	errMissed  = errors.New("the connection has dropped messages")
)

// A pull reads a stream from a sequence on, through a consumer that it makes for itself. It
// checks that no message is missing between those that the engine has sent, and not which ones the
// engine sends. After an error it is of no more use: its owner makes another one, from where it
// has come to. It is not safe for concurrent use.
type pull struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	stream   string
	consumer string
	inbox    string
	silence  time.Duration
	pending  uint64 // messages that there were when it was opened
	sub      *nats.Subscription
	msgs     chan *nats.Msg

	sent     uint64 // messages that the engine has sent
	messages int    // asked for, and not come
	bytes    int    // likewise
	timer    *time.Timer
}

// openPull makes a consumer, which begins at the sequence or the time in cfg.
func openPull(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, stream string, silence time.Duration, cfg jetstream.ConsumerConfig) (*pull, error) {
	cfg.AckPolicy = jetstream.AckNonePolicy
	cfg.InactiveThreshold = consumerExpiry
	cfg.MemoryStorage = true
	cfg.Replicas = 1
	cfg.MaxDeliver = 1
	consumer, err := js.CreateConsumer(ctx, stream, cfg)
	if err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	p := &pull{
		nc:       nc,
		js:       js,
		stream:   stream,
		consumer: consumer.CachedInfo().Name,
		inbox:    nc.NewInbox(),
		silence:  silence,
		pending:  consumer.CachedInfo().NumPending,
		msgs:     make(chan *nats.Msg, pullMessages+256), // and as many notes of the engine's
		timer:    time.NewTimer(silence),
	}
	if p.sub, err = nc.ChanSubscribe(p.inbox, p.msgs); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return p, nil
}

// close ends the pull. The engine forgets its consumer by itself, too, but later.
func (p *pull) close() {
	p.timer.Stop()
	_ = p.sub.Unsubscribe() // fails if the connection is closed
	_ = p.nc.Publish("$JS.API.CONSUMER.DELETE."+p.stream+"."+p.consumer, nil)
}

// next returns the next message, and what the engine says of it. It blocks until there is one,
// ctx ends, nudge has a token, or the engine is silent for too long.
func (p *pull) next(ctx context.Context, nudge <-chan struct{}) (*nats.Msg, *nats.MsgMetadata, error) {
	p.timer.Reset(p.silence)
	for {
		if err := p.ask(); err != nil {
			return nil, nil, err
		}
		var m *nats.Msg
		select {
		case m = <-p.msgs:
		case <-nudge:
			return nil, nil, errNudged
		case <-p.timer.C:
			return nil, nil, errSilence
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
			if status == noResponders && p.sent == 0 {
				p.messages, p.bytes = 0, 0
				select {
				case <-time.After(askPause):
				case <-ctx.Done():
				}
				continue
			}
			if err := p.note(status, m.Header); err != nil {
				return nil, nil, err
			}
			p.timer.Reset(p.silence)
			continue
		}
		p.messages--
		p.bytes -= m.Size()
		meta, err := m.Metadata()
		if err != nil {
			return nil, nil, fmt.Errorf("read metadata: %w", err)
		}
		if p.sent++; meta.Sequence.Consumer != p.sent {
			return nil, nil, errMissed
		}
		return m, meta, nil
	}
}

// ask asks for more when half of what was asked for has come.
func (p *pull) ask() error {
	if p.messages > pullMessages/2 && p.bytes > pullBytes/2 {
		return nil
	}
	request, err := json.Marshal(struct {
		Expires   time.Duration `json:"expires"`
		Batch     int           `json:"batch"`
		MaxBytes  int           `json:"max_bytes"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{pullExpiry, pullMessages - max(p.messages, 0), pullBytes - max(p.bytes, 0), pullHeartbeat})
	if err != nil {
		return err
	}
	p.messages, p.bytes = pullMessages, pullBytes
	if err := p.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.stream+"."+p.consumer, p.inbox, request); err != nil {
		return fmt.Errorf("ask for messages: %w", err)
	}
	return nil
}

// note reads what the engine says about a request. All but the usual ends of requests, and
// heartbeats, is an error.
func (p *pull) note(status string, h nats.Header) error {
	what := h.Get("Description")
	switch {
	case status == "100":
		return nil
	case status == "408", status == "409" && (strings.Contains(what, "Batch Completed") || strings.Contains(what, "Exceeds MaxBytes")):
		messages, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
		if err != nil {
			return fmt.Errorf("engine: %s %s", status, what)
		}
		bytes, err := strconv.Atoi(h.Get("Nats-Pending-Bytes"))
		if err != nil {
			return fmt.Errorf("engine: %s %s", status, what)
		}
		p.messages -= messages
		p.bytes -= bytes
		return nil
	}
	return fmt.Errorf("engine: %s %s", status, what)
}

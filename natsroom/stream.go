package natsroom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// headroom is how many bytes a message of the stream may have besides the units or the fragment
// in it: its headers, its envelope and what precedes a fragment.
const headroom = 4 << 10

// errUnfit reports a stream that was not made by this package, or not for it.
var errUnfit = errors.New("stream is not fit for an order")

// awaitStream finds the stream or makes it, and tries again while the engine is not ready, until
// ctx ends.
func (o *Order) awaitStream(ctx context.Context) (*jetstream.StreamInfo, error) {
	var why error // of the last attempt that has failed by itself
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		info, err := o.findStream(ctx)
		if err == nil || isFinal(err) {
			return info, err
		}
		if why == nil || ctx.Err() == nil {
			why = err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; %w", ctx.Err(), why)
		}
	}
}

// isFinal reports whether asking again is of no use.
func isFinal(err error) bool {
	var answer *jetstream.APIError
	switch {
	case errors.Is(err, errUnfit):
		return true
	case !errors.As(err, &answer):
		return false
	case answer.ErrorCode == jetstream.JSErrCodeStreamNameInUse, answer.ErrorCode == noPeersYet:
		return false
	case answer.ErrorCode == notClustered:
		return true
	}
	return answer.Code < 500
}

// Codes of the engine's.
const (
	noPeersYet   = 10005 // it does not know enough of its servers yet
	notClustered = 10074 // it is one server, and is to store on several
)

// findStream asks for the stream, and makes it if there is none.
func (o *Order) findStream(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.ackWait)
	defer cancel()
	s, err := o.js.Stream(ctx, o.subjects.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = o.js.CreateStream(ctx, o.streamConfig())
		if err == nil {
			o.log.Info("stream made", "stream", o.subjects.stream)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find stream %q: %w", o.subjects.stream, err)
	}
	info := s.CachedInfo()
	return info, o.checkStream(info.Config)
}

func (o *Order) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       o.subjects.stream,
		Subjects:   o.subjects.inStream(),
		Retention:  jetstream.LimitsPolicy,
		Discard:    jetstream.DiscardOld,
		Storage:    jetstream.FileStorage,
		Replicas:   o.cfg.replicas,
		MaxBytes:   o.cfg.retentionBytes,
		MaxAge:     o.cfg.retentionAge,
		Duplicates: o.cfg.duplicates,
		DenyDelete: true,
		DenyPurge:  true,
	}
}

// checkStream returns why a stream that exists cannot be used.
func (o *Order) checkStream(c jetstream.StreamConfig) error {
	var why string
	switch {
	case c.Retention != jetstream.LimitsPolicy || c.Discard != jetstream.DiscardOld || c.MaxMsgsPerSubject > 0:
		why = "it deletes others than the oldest messages"
	case c.MaxMsgSize > 0 && int(c.MaxMsgSize) < o.cfg.fragment+headroom:
		why = fmt.Sprintf("its messages have %d bytes at most", c.MaxMsgSize)
	case c.NoAck:
		why = "it does not acknowledge"
	}
	for _, want := range o.subjects.inStream() {
		if !slices.Contains(c.Subjects, want) {
			why = "it does not have the subject " + want
		}
	}
	if why != "" {
		return fmt.Errorf("%w: %s", errUnfit, why)
	}
	return nil
}

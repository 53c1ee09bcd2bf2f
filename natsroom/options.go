package natsroom

import (
	"log/slog"
	"time"
)

// The defaults of the options.
const (
	DefaultRetentionBytes = 1 << 30          // bytes of messages that the stream keeps
	DefaultRetentionAge   = time.Hour        // how long it keeps them
	DefaultBeat           = 5 * time.Second  // from one beat of a server to the next
	DefaultOutage         = 30 * time.Second // without a beat, until members are disconnected
	DefaultBackfill       = 4096             // messages of the stream that a starting server reads
)

const (
	// holdBeats is for how many beats a server may be silent until it holds, and the others do
	// not count it any more.
	holdBeats = 3

	// forever is longer than anybody waits, and leaves room for sums.
	forever = time.Duration(1 << 62)
)

// An Option configures [Open].
type Option interface{ apply(c *config) }

type option func(c *config)

func (o option) apply(c *config) { o(c) }

type config struct {
	replicas       int
	retentionBytes int64
	retentionAge   time.Duration
	duplicates     time.Duration // for how long the engine recognises a message's id
	beat           time.Duration
	outage         time.Duration
	spread         time.Duration // over which members are disconnected after an outage
	backfill       int           // messages
	fragment       int           // bytes of a message, besides its envelope
	underWay       int           // bytes that may be on their way
	ackWait        time.Duration // for an acknowledgement, until a message is sent again
	silence        time.Duration // of the engine, until the reader begins anew
	rewound        time.Duration // for which a stream may seem shorter than what was read of it
	logger         *slog.Logger
}

func newConfig(opts []Option) config {
	c := config{
		replicas:       1,
		retentionBytes: DefaultRetentionBytes,
		retentionAge:   DefaultRetentionAge,
		duplicates:     2 * time.Minute,
		beat:           DefaultBeat,
		outage:         DefaultOutage,
		spread:         10 * time.Second,
		backfill:       DefaultBackfill,
		fragment:       256 << 10,
		underWay:       1 << 20,
		ackWait:        2 * time.Second,
		silence:        3 * time.Second,
		rewound:        5 * time.Second,
		logger:         slog.New(slog.DiscardHandler),
	}
	for _, o := range opts {
		o.apply(&c)
	}
	c.duplicates = min(c.duplicates, c.retentionAge)
	c.outage = max(c.outage, holdBeats*c.beat)
	return c
}

// WithReplicas sets how many servers of the engine store each message: 3 survive the loss of
// one, 5 that of two. It takes effect when the stream is made, as [WithRetention] does.
//
// The default, zero and negative are 1, which survives none.
func WithReplicas(n int) Option {
	return option(func(c *config) { c.replicas = max(n, 1) })
}

// WithRetention sets how many bytes of messages the stream keeps, and for how long. The oldest
// go first. A server that falls further behind disconnects its members with [ErrGap], and
// [Order.History] has no more than this. If the stream exists, it stays as it is, and the
// option has no effect.
//
// The defaults, zero and negative are [DefaultRetentionBytes], 1 GiB, and
// [DefaultRetentionAge], an hour.
func WithRetention(bytes int64, age time.Duration) Option {
	return option(func(c *config) {
		c.retentionBytes, c.retentionAge = DefaultRetentionBytes, DefaultRetentionAge
		if bytes > 0 {
			c.retentionBytes = bytes
		}
		if age > 0 {
			c.retentionAge = age
		}
	})
}

// WithBeat sets how often the server publishes a beat into the stream, which the others count
// it by. A server to which none of its own messages have come back for three beats lets
// publishing wait. Give the same to all servers of an order.
//
// The default, zero and negative are [DefaultBeat], 5 seconds.
func WithBeat(d time.Duration) Option {
	return option(func(c *config) {
		if c.beat = d; d <= 0 {
			c.beat = DefaultBeat
		}
	})
}

// WithOutage sets for how long the server may be out of order until it disconnects its members,
// so that they find another server. It is three beats at least.
//
// The default and zero are [DefaultOutage], 30 seconds. Negative is for ever: members stay, and
// wait.
func WithOutage(d time.Duration) Option {
	return option(func(c *config) {
		switch c.outage = d; {
		case d == 0:
			c.outage = DefaultOutage
		case d < 0:
			c.outage = forever
		}
	})
}

// WithBackfill sets how many of the stream's last messages a starting server reads, so that its
// rooms have a history for [chatroom.WithHistory]. One message of the stream may carry many of
// the rooms.
//
// The default and zero are [DefaultBackfill], 4096. Negative is none.
func WithBackfill(messages int) Option {
	return option(func(c *config) {
		switch c.backfill = messages; {
		case messages == 0:
			c.backfill = DefaultBackfill
		case messages < 0:
			c.backfill = 0
		}
	})
}

// WithLogger sets where the order logs. The package comment lists what it says.
//
// The default, and nil, is to log nothing.
func WithLogger(l *slog.Logger) Option {
	return option(func(c *config) {
		if l == nil {
			l = slog.New(slog.DiscardHandler)
		}
		c.logger = l
	})
}

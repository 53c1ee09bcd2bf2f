package natsroom

import "time"

// WithDuplicates sets for how long the engine recognises a message that is sent again.
func WithDuplicates(d time.Duration) Option {
	return option(func(c *config) { c.duplicates = d })
}

// WithSpread sets over how long members are disconnected after an outage.
func WithSpread(d time.Duration) Option {
	return option(func(c *config) { c.spread = d })
}

// WithAckWait sets how long an acknowledgement is waited for.
func WithAckWait(d time.Duration) Option {
	return option(func(c *config) { c.ackWait = d })
}

// WithRewound sets for how long a stream may seem shorter than what was read of it.
func WithRewound(d time.Duration) Option {
	return option(func(c *config) { c.rewound = d })
}

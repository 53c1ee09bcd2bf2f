package natsroom

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	pingInterval   = 2 * time.Second
	writeTimeout   = 5 * time.Second
	reconnectPause = 250 * time.Millisecond
)

// Connect connects to an engine, with the settings that an [Order] needs: it reconnects for
// ever, buffers nothing while it is not connected, and notices within seconds when a server
// has vanished. It does not print errors: the order notices what matters, and logs it. The
// urls are those of the engine's servers, separated by commas. Further options, such as
// credentials or a [nats.ErrorHandler], are applied after these. It blocks until it is
// connected, or none of the servers has let it. The caller closes the connection, after the order.
func Connect(urls string, opts ...nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect(urls, append([]nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectPause),
		nats.ReconnectJitter(reconnectPause, reconnectPause),
		nats.IgnoreAuthErrorAbort(), // also while the engine's accounts are being replaced
		nats.ReconnectBufSize(-1),   // what is published fails instead, and is retried in order
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(writeTimeout),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("natsroom: connect: %w", err)
	}
	return nc, nil
}

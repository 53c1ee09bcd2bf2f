package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/chatroom"
	"example.com/chatroom/natsroom"
)

// leastOutage is the shortest outage that natsroom can tell from a pause.
const leastOutage = 15 * time.Second

// clusterNames are what natsroom takes as a name.
var clusterNames = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// clusterFlags are the flags that say which servers share the rooms.
type clusterFlags struct {
	urls     engineURLs
	name     string
	replicas int
	outage   time.Duration

	// electing is how long the servers of NATS may take to agree on who leads.
	electing time.Duration
}

func (f *clusterFlags) register(fs *flag.FlagSet) {
	fs.Func("cluster", "", f.urls.set)
	fs.StringVar(&f.name, "cluster-name", "lobby", "")
	fs.IntVar(&f.replicas, "replicas", 3, "")
	fs.DurationVar(&f.outage, "outage", natsroom.DefaultOutage, "")
	f.electing = 20 * time.Second
}

// check checks what the flags' own types do not. The flags in fs have been parsed.
func (f *clusterFlags) check(fs *flag.FlagSet) error {
	var alone error
	fs.Visit(func(given *flag.Flag) {
		switch given.Name {
		case "cluster-name", "replicas", "outage":
			alone = fmt.Errorf("-%s needs -cluster", given.Name)
		}
	})
	switch {
	case len(f.urls) == 0:
		return alone
	case !clusterNames.MatchString(f.name):
		return fmt.Errorf("-cluster-name %q: want 1 to 64 letters, digits, - and _", f.name)
	case f.replicas < 1 || f.replicas > 5:
		return fmt.Errorf("-replicas %d: want 1 to 5", f.replicas)
	case f.outage != 0 && f.outage < leastOutage:
		return fmt.Errorf("-outage %v: want 0, for no end of it, or %v or more", f.outage, leastOutage)
	}
	return nil
}

// engineURLs are where the servers of NATS are, each with its scheme.
type engineURLs []*url.URL

func (e *engineURLs) set(s string) error {
	*e = nil
	for _, one := range strings.Split(s, ",") {
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
			return errors.New("want nats://HOST[:PORT] or tls://HOST[:PORT], and commas between several")
		}
		*e = append(*e, u)
	}
	return nil
}

// String returns the URLs as the user gave them.
func (e engineURLs) String() string { return e.join((*url.URL).String) }

// redacted returns the URLs without passwords.
func (e engineURLs) redacted() string { return e.join((*url.URL).Redacted) }

func (e engineURLs) join(text func(*url.URL) string) string {
	all := make([]string, len(e))
	for i, u := range e {
		all[i] = text(u)
	}
	return strings.Join(all, ",")
}

// A clusterSeat is a server's place in a cluster. A nil one is none.
type clusterSeat struct {
	nc    *nats.Conn
	order *natsroom.Order
}

// join has a server, which the options of the seat must make, share its rooms. It returns nil if
// no flag says so. It blocks until NATS has answered, but gives up when ctx ends.
func (f *clusterFlags) join(ctx context.Context, logger *slog.Logger) (*clusterSeat, error) {
	if len(f.urls) == 0 {
		return nil, nil
	}
	nc, err := orLeave(ctx, func() (*nats.Conn, error) {
		return natsroom.Connect(f.urls.String(), nats.Name("chatroom"),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				logger.Warn("cluster failed", "error", err)
			}),
			nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
				if err != nil { // it is nil when the program closes the connection
					logger.Warn("cluster lost", "error", err)
				}
			}),
			nats.ReconnectHandler(func(nc *nats.Conn) {
				logger.Info("cluster back", "engine", nc.ConnectedUrlRedacted())
			}))
	})
	if err != nil {
		return nil, f.explain(err)
	}
	logger.Info("cluster found", "name", f.name, "engine", nc.ConnectedUrlRedacted())
	order, err := f.open(ctx, nc, logger)
	if err != nil {
		nc.Close()
		return nil, unlessLeft(ctx, f.explain(err))
	}
	logger.Info("cluster joined", "name", f.name, "engine", nc.ConnectedUrlRedacted())
	return &clusterSeat{nc, order}, nil
}

// open opens the order of the cluster.
func (f *clusterFlags) open(ctx context.Context, nc *nats.Conn, logger *slog.Logger) (*natsroom.Order, error) {
	outage := f.outage
	if outage == 0 {
		outage = -1
	}
	opening, cancel := context.WithTimeout(ctx, f.electing)
	defer cancel()
	order, err := natsroom.Open(opening, nc, f.name,
		natsroom.WithReplicas(f.replicas), natsroom.WithOutage(outage), natsroom.WithLogger(logger))
	if err == nil || opening.Err() == nil || ctx.Err() != nil {
		return order, err
	}
	js, errNew := jetstream.New(nc)
	if errNew != nil {
		return nil, err
	}
	asking, cancelAsking := context.WithTimeout(ctx, time.Second)
	defer cancelAsking()
	if _, why := js.AccountInfo(asking); errors.Is(why, jetstream.ErrJetStreamNotEnabled) {
		return nil, why
	}
	return nil, err
}

// explain adds to err, with which joining failed, what the user can do.
func (f *clusterFlags) explain(err error) error {
	where := f.urls.redacted()
	var answer *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("nobody answers at %s; start NATS there with %q", where, "nats-server -js")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("NATS at %s has no JetStream; start it with %q", where, "nats-server -js")
	case errors.As(err, &answer) && answer.ErrorCode == tooFewServers:
		return fmt.Errorf("NATS at %s has fewer servers than -replicas %d asks for", where, f.replicas)
	}
	return fmt.Errorf("-cluster: %w", err)
}

// tooFewServers is the code with which a server of NATS that is alone refuses replicas.
const tooFewServers = 10074

// options returns what makes a server of the cluster.
func (c *clusterSeat) options() []chatroom.ServerOption {
	if c == nil {
		return nil
	}
	return []chatroom.ServerOption{chatroom.WithOrder(c.order)}
}

// blame returns err, with which the server's end failed, and says if that may be the cluster's
// fault.
func (c *clusterSeat) blame(err error) error {
	if c == nil || err == nil || c.order.Stats().UnderWay == 0 {
		return err
	}
	return fmt.Errorf("%w; the cluster has not taken all that was said", err)
}

// stats returns the figures of the server's place in the cluster, and its state in words.
func (c *clusterSeat) stats() any {
	s := c.order.Stats()
	return struct {
		State string
		natsroom.Stats
	}{s.State.String(), s}
}

// leave gives up the place, when the server has ended.
func (c *clusterSeat) leave() {
	if c == nil {
		return
	}
	c.order.Close()
	c.nc.Close()
}

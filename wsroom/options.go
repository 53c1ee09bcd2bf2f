package wsroom

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"example.com/chatroom"
)

// DefaultPingInterval is how often a [Handler] pings its members. The proxies in use cut
// connections that are idle for a minute.
const DefaultPingInterval = 30 * time.Second

// An Option configures [Handler].
type Option interface{ apply(c *config) }

type option func(c *config)

func (o option) apply(c *config) { o(c) }

type config struct {
	origins      []string
	room         func(r *http.Request) (string, error)
	pingInterval time.Duration // zero is never
	maxConns     int           // zero is any number
}

func newConfig(opts []Option) config {
	c := config{
		room:         func(*http.Request) (string, error) { return "", nil },
		pingInterval: DefaultPingInterval,
		maxConns:     chatroom.DefaultMaxConns,
	}
	for _, o := range opts {
		o.apply(&c)
	}
	return c
}

// WithOrigins allows pages of other hosts to connect. Each pattern is a host, with its port if it
// is not the scheme's own, such as "example.com" or "localhost:3000", or a whole origin, such
// as "https://example.com". A * stands for any characters, as in [path.Match]. "*" alone
// allows all, which lets any page that a user visits speak with the user's cookies.
//
// The default is the request's own host. A request without the header Origin does not come
// from a page, and is always allowed.
func WithOrigins(patterns ...string) Option {
	return option(func(c *config) {
		for _, p := range patterns {
			c.origins = append(c.origins, strings.ToLower(p))
		}
	})
}

// allowsOrigin reports whether the page that makes the request may do so.
func (c *config) allowsOrigin(r *http.Request) bool {
	if len(r.Header.Values("Origin")) == 0 {
		return true
	}
	origin := strings.ToLower(r.Header.Get("Origin"))
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return true
	}
	for _, p := range c.origins {
		subject := origin
		if p != "*" && !strings.Contains(p, "://") {
			if err != nil {
				continue
			}
			subject = u.Host
		}
		if p == "*" {
			return true
		}
		if ok, err := path.Match(p, subject); ok && err == nil {
			return true
		}
	}
	return false
}

// WithRoom sets which room a request asks for: [chatroom.Join.Room] before the admit hooks run. If
// room returns an error, the request is refused with status 404 and the error's text. With a
// pattern such as "/ws/{room}" of [http.ServeMux]:
//
//	wsroom.WithRoom(func(r *http.Request) (string, error) {
//		room := r.PathValue("room")
//		return room, chatroom.CheckName(room)
//	})
//
// The function runs before the handshake, on the request's goroutine, and may be called
// concurrently. The default is the room "".
func WithRoom(room func(r *http.Request) (string, error)) Option {
	return option(func(c *config) { c.room = room })
}

// WithPingInterval sets how often members are pinged, so that proxies do not cut them while
// nothing is said. A member that answers no two pings in a row, and sends nothing else, is
// disconnected. Its leave hooks get an error that matches [os.ErrDeadlineExceeded]. While the
// server does not read a member because its messages wait, it does not count as silent.
// Answers to pings do not count for [chatroom.WithIdleTimeout].
//
// The default, and zero, is [DefaultPingInterval]. Negative is no pings.
func WithPingInterval(d time.Duration) Option {
	return option(func(c *config) {
		if d == 0 {
			d = DefaultPingInterval
		}
		c.pingInterval = max(d, 0)
	})
}

// WithMaxConns sets how many connections a handler may have at the same time, those that have
// not been let in yet included. It refuses a further one with status 503.
// [chatroom.WithMaxConns] counts the connections of listeners only. A limit for each address
// belongs where the addresses are known: behind a proxy it is the proxy that counts them.
//
// The default, and zero, is [chatroom.DefaultMaxConns]. Negative is no limit.
func WithMaxConns(n int) Option {
	return option(func(c *config) {
		if n == 0 {
			n = chatroom.DefaultMaxConns
		}
		c.maxConns = max(n, 0)
	})
}

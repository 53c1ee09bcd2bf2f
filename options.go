package chatroom

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"
)

// The defaults of the options that are not off by default.
const (
	DefaultMaxMessage       = 1 << 20          // bytes
	DefaultHandshakeTimeout = 10 * time.Second // from the connection to the whole name
	DefaultWriteTimeout     = 30 * time.Second // without any progress
	DefaultBacklog          = 16 << 20         // bytes
	DefaultFrameTimeout     = time.Minute      // from a frame's first byte to its last
	DefaultMaxConns         = 16384            // or fewer, if the process may open fewer files
)

// A ServerOption configures [NewServer].
type ServerOption interface{ applyServer(*serverConfig) }

// A DialOption configures [Dial] and [NewConn].
type DialOption interface{ applyDial(*dialConfig) }

// An Option configures either end.
type Option interface {
	ServerOption
	DialOption
}

type serverConfig struct {
	maxMessage       int
	handshakeTimeout time.Duration
	writeTimeout     time.Duration
	frameTimeout     time.Duration
	idleTimeout      time.Duration
	backlog          int64
	logger           *slog.Logger
	nameRule         func(string) error
	admit            []func(context.Context, *Join) error
	onJoin           []func(context.Context, Member)
	onMessage        []func(context.Context, Member, *Message) error
	onLeave          []func(context.Context, Member, error)
	history          int
	uniqueNames      bool
	maxMembers       int
	maxConns         int
	maxConnsPerIP    int
	order            Order
}

func newServerConfig(opts []ServerOption) serverConfig {
	c := serverConfig{
		maxMessage:       DefaultMaxMessage,
		handshakeTimeout: DefaultHandshakeTimeout,
		writeTimeout:     DefaultWriteTimeout,
		frameTimeout:     DefaultFrameTimeout,
		maxConns:         defaultMaxConns(),
		backlog:          DefaultBacklog,
		logger:           slog.New(slog.DiscardHandler),
		nameRule:         CheckName,
	}
	for _, o := range opts {
		o.applyServer(&c)
	}
	if testHookServerConfig != nil {
		testHookServerConfig(&c)
	}
	return c
}

// testHookServerConfig, in tests, changes the configurations of all servers.
var testHookServerConfig func(c *serverConfig)

type dialConfig struct {
	maxMessage int
	dialer     func(ctx context.Context, network, address string) (net.Conn, error)
	reconnects bool
	reconnect  func(attempt int, cause error) (wait time.Duration, ok bool)
}

func newDialConfig(opts []DialOption) dialConfig {
	c := dialConfig{
		maxMessage: DefaultMaxMessage,
		dialer:     new(net.Dialer).DialContext,
	}
	for _, o := range opts {
		o.applyDial(&c)
	}
	return c
}

type serverOption func(*serverConfig)

func (f serverOption) applyServer(c *serverConfig) { f(c) }

type dialOption func(*dialConfig)

func (f dialOption) applyDial(c *dialConfig) { f(c) }

type maxMessage int

func (m maxMessage) applyServer(c *serverConfig) { c.maxMessage = m.limit() }
func (m maxMessage) applyDial(c *dialConfig)     { c.maxMessage = m.limit() }

func (m maxMessage) limit() int {
	switch {
	case m == 0:
		return DefaultMaxMessage
	case m < 0:
		return maxLength
	}
	return int(m)
}

// WithMaxMessage sets how many bytes a name or a message that this end reads or sends
// may have. When a peer announces a longer one, this end reads none of it: a server
// disconnects the peer with [ErrFrameTooLarge], and a client's [Conn.Receive] returns
// that error.
//
// The default, and zero, is [DefaultMaxMessage], 1 MiB. Negative is no limit but the
// protocol's own, 9,999,999,999 bytes: this end then takes as much memory as a peer's
// messages need.
func WithMaxMessage(bytes int) Option { return maxMessage(bytes) }

// WithHandshakeTimeout sets how long a connection may take to deliver its whole name, a
// TLS handshake included. A connection that takes longer is closed. The error matches
// [os.ErrDeadlineExceeded].
//
// The default, and zero, is [DefaultHandshakeTimeout], 10 seconds. Negative is no limit.
func WithHandshakeTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) {
		c.handshakeTimeout = max(cmp.Or(d, DefaultHandshakeTimeout), 0)
	})
}

// WithWriteTimeout sets how long a member's connection may accept nothing of what the
// member is owed. A member that exceeds it is disconnected. The error matches both
// [ErrSlowConsumer] and [os.ErrDeadlineExceeded]. The time starts again with each byte
// that the connection accepts, or over TLS with each record of at most 16 KiB. The
// server checks only when the time is up, so a member that accepts a part and then
// nothing has up to twice as long.
//
// Over TCP on Linux, this is also how long a peer may leave sent bytes unacknowledged.
// So the server notices a peer that has vanished, provided that it was sent something.
//
// The default, and zero, is [DefaultWriteTimeout], 30 seconds. Negative is no limit: a
// member that stops reading then stays until it is a whole backlog behind.
func WithWriteTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) {
		c.writeTimeout = max(cmp.Or(d, DefaultWriteTimeout), 0)
	})
}

// WithFrameTimeout sets how long a frame may take from its first byte to its last. A
// member whose frame takes longer is disconnected, though the server may give it up to
// a sixteenth more. The error matches [os.ErrDeadlineExceeded].
//
// The default, and zero, is [DefaultFrameTimeout], a minute. Negative is no limit.
func WithFrameTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) {
		c.frameTimeout = max(cmp.Or(d, DefaultFrameTimeout), 0)
	})
}

// WithMaxConns sets how many connections from its listeners a server may have at the
// same time. At most half of them may be connections that have not been let in yet. The
// server closes a further connection as soon as it has accepted it, which [Stats] and
// the log tell. Connections of [Server.ServeConn] are not limited.
//
// The default, and zero, is the smaller of [DefaultMaxConns] and 64 less than the
// number of files that the process may open. Negative is no limit.
func WithMaxConns(n int) ServerOption {
	return serverOption(func(c *serverConfig) {
		if n == 0 {
			n = defaultMaxConns()
		}
		c.maxConns = max(n, 0)
	})
}

// WithMaxConnsPerIP sets how many of the connections that [WithMaxConns] counts may
// come from one remote IP address. All IPv6 addresses of one network of 64 bits count
// as one. The server closes a further connection with [ErrServerFull].
//
// The default, zero and negative are no limit.
func WithMaxConnsPerIP(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxConnsPerIP = max(n, 0) })
}

// WithIdleTimeout sets how long a member may send nothing at all, whatever it receives.
// A member that is silent for longer is disconnected. The error matches
// [os.ErrDeadlineExceeded].
//
// The default, zero and negative are no limit.
func WithIdleTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.idleTimeout = max(d, 0) })
}

// WithBacklog sets how many bytes a member may be behind its room, names and headers
// included. The room holds these bytes once, not once for each member. Publishing waits
// for a member that is three quarters of the backlog behind, unless it is far slower
// than the room. A member that is far slower than the room is disconnected with
// [ErrSlowConsumer] once it is a whole backlog behind.
//
// The server checks this bound when the room's log grows by a chunk, which is a 32nd of
// the backlog but at most 64 KiB. So a member may be further behind by one chunk, and
// by the up to 16 messages that one member publishes together. The log also holds to
// whom each message goes. With very short messages, it therefore takes up to three
// times as much memory as the backlog.
//
// Set it to several times the largest message, and to at least 1 MiB. If your listener
// wraps TCP connections, set it to at least 16 MiB: the server cannot bound what
// wrapped sockets hold, and these accept bytes in bursts of megabytes.
//
// The default, zero and negative are [DefaultBacklog], 16 MiB.
func WithBacklog(bytes int) ServerOption {
	return serverOption(func(c *serverConfig) {
		c.backlog = int64(bytes)
		if bytes <= 0 {
			c.backlog = DefaultBacklog
		}
	})
}

// WithLogger sets where the server logs. At Info it logs who joins, and who leaves and
// why; at Warn refused connections, slow consumers, failures to accept, and what an order
// does wrong; at Error hooks that panic; and at Debug each message with the beginning of
// its text.
//
// The default, and nil, is to log nothing.
func WithLogger(l *slog.Logger) ServerOption {
	return serverOption(func(c *serverConfig) {
		if l == nil {
			l = slog.New(slog.DiscardHandler)
		}
		c.logger = l
	})
}

// WithNameRule replaces [CheckName] as the rule for members' names. Most rules should
// call CheckName first: without it, a name may be any bytes, up to 4 KiB of them. If
// the rule returns an error, the connection is closed with an error that matches both
// [ErrNameRejected] and that error. A rule cannot keep names unique, because it runs
// before the member is listed and concurrently for other connections; [WithUniqueNames]
// can.
//
// The rule runs on the connection's goroutine. It may block, which delays only this
// connection, and it may call the server. If it panics, the stack is logged and the
// connection is closed.
//
// The default, and nil, is CheckName.
func WithNameRule(rule func(name string) error) ServerOption {
	return serverOption(func(c *serverConfig) {
		if rule == nil {
			rule = CheckName
		}
		c.nameRule = rule
	})
}

// WithHistory sets how many of its room's last messages a newcomer receives before
// everything that follows. There is no gap and no duplicate between the two. The
// history has at most half a backlog's bytes. It includes what the newcomer sent over
// an earlier connection, but nothing that was sent to one member alone. The server
// keeps an empty room for a minute, and at most a thousand such rooms with 64 MiB in
// all. [Room.Broadcast] before [Server.Serve] seeds the history.
//
// The default, zero and negative are none.
func WithHistory(messages int) ServerOption {
	return serverOption(func(c *serverConfig) { c.history = max(messages, 0) })
}

// WithUniqueNames refuses a connection with [ErrNameTaken] if a member of the room has
// the same name, byte for byte. A name is free again when the room no longer lists its
// member.
func WithUniqueNames() ServerOption {
	return serverOption(func(c *serverConfig) { c.uniqueNames = true })
}

// WithMaxMembers sets how many members a room may have. When the room is full, a
// further connection is refused with [ErrRoomFull].
//
// The default, zero and negative are no limit.
func WithMaxMembers(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxMembers = max(n, 0) })
}

// WithReconnect makes a client of [Dial] connect again when its connection has ended,
// even if it ended cleanly. [Conn.Receive] and [Conn.Messages] do this, and then report
// [ErrReconnected]. [Conn.Send] waits for a connection. It never sends a message twice:
// if the connection ends while the message goes out, it returns an error. [Conn.Close]
// ends all of this waiting, and each method's context ends its own.
//
// Before each attempt, the policy returns how long to wait, or false to give up. After
// that, Receive returns the cause. Attempts are counted from 1, and again from 1 after
// a connection that has lasted a second. The cause is the error that ended the last
// connection or the last attempt, whichever is later. The policy runs on the goroutine
// of Receive.
//
// A policy of nil waits for a random time below 100 ms before the first attempt, below
// 200 ms before the second and so on, up to 30 s. It gives up when five connections in
// a row have ended within a second, because the protocol has no other way to say that a
// name is refused. The default is not to connect again. [NewConn] ignores the option.
func WithReconnect(policy func(attempt int, cause error) (wait time.Duration, ok bool)) DialOption {
	return dialOption(func(c *dialConfig) { c.reconnects, c.reconnect = true, policy })
}

// WithDialer sets how [Dial] connects: over TLS, through a proxy, to a listener
// in memory. [NewConn] ignores it. The default, and nil, is a zero [net.Dialer].
func WithDialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) DialOption {
	return dialOption(func(c *dialConfig) {
		if dial == nil {
			dial = new(net.Dialer).DialContext
		}
		c.dialer = dial
	})
}

package chatroom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
	"unicode"
	"unicode/utf8"
)

// The defaults of the options that have one other than "off".
const (
	DefaultMaxMessage       = 1 << 20          // bytes
	DefaultHandshakeTimeout = 10 * time.Second // from the connection to the whole name
	DefaultWriteTimeout     = 30 * time.Second // without any progress
	DefaultBacklog          = 16 << 20         // bytes
)

// maxNameLen is the longest name, in bytes, that a server accepts by default.
const maxNameLen = 64

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
	idleTimeout      time.Duration
	backlog          int64
	logger           *slog.Logger
	nameRule         func(string) error
	onJoin           []func(Member)
	onLeave          []func(Member, error)
}

func newServerConfig(opts []ServerOption) serverConfig {
	c := serverConfig{
		maxMessage:       DefaultMaxMessage,
		handshakeTimeout: DefaultHandshakeTimeout,
		writeTimeout:     DefaultWriteTimeout,
		backlog:          DefaultBacklog,
		logger:           slog.New(slog.DiscardHandler),
		nameRule:         CheckName,
	}
	for _, o := range opts {
		o.applyServer(&c)
	}
	return c
}

type dialConfig struct {
	maxMessage int
	dialer     func(ctx context.Context, network, address string) (net.Conn, error)
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

// WithMaxMessage sets the longest payload, of a name or of a message, that this end
// reads or sends, in bytes. A server disconnects a peer that announces a longer one
// with [ErrFrameTooLarge], before any of it is read; a client's [Conn.Receive] returns
// that error.
//
// The default, and zero, is [DefaultMaxMessage], 1 MiB. Negative is no limit but the
// protocol's own of 9,999,999,999 bytes: this end then holds as much as a peer sends.
func WithMaxMessage(bytes int) Option { return maxMessage(bytes) }

// WithHandshakeTimeout sets how long a connection may take until the whole of its name
// has arrived, a TLS handshake included. A connection that takes longer is closed. The
// error matches [os.ErrDeadlineExceeded].
//
// The default, and zero, is [DefaultHandshakeTimeout], 10 seconds. Negative is no limit.
func WithHandshakeTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) {
		c.handshakeTimeout = max(cmp.Or(d, DefaultHandshakeTimeout), 0)
	})
}

// WithWriteTimeout sets how long a member may take nothing at all of what it is owed.
// The time starts again with each byte that its connection accepts (over TLS with each
// record of at most 16 KiB). It is checked when it is up, so that a member that took a
// part and then nothing has up to twice as long. A member that takes longer is
// disconnected. The error matches both [ErrSlowConsumer] and [os.ErrDeadlineExceeded].
//
// Over TCP on Linux this is also how long a peer may leave what was sent to it
// unacknowledged, so a peer that has vanished is noticed when it is owed something.
//
// The default, and zero, is [DefaultWriteTimeout], 30 seconds. Negative is no limit: a
// member that stops reading then stays until it is a whole backlog behind.
func WithWriteTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) {
		c.writeTimeout = max(cmp.Or(d, DefaultWriteTimeout), 0)
	})
}

// WithIdleTimeout sets how long a member may send nothing at all, whatever it receives.
// A member that is silent for longer is disconnected. The error matches
// [os.ErrDeadlineExceeded].
//
// The default, zero and negative are no limit.
func WithIdleTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.idleTimeout = max(d, 0) })
}

// WithBacklog sets how many bytes of the room's messages, names and headers included, a
// member may be behind. The bytes are held once for the room, not for each member.
// Publishing waits while a member that is not far slower than the room is three
// quarters of this behind. A member that is far slower and all of this behind is
// disconnected with [ErrSlowConsumer].
//
// The bound is checked when the room's log grows by a chunk, a 32nd of this but at most
// 64 KiB. So it is exact to a chunk and to what one member publishes at once, up to 16
// messages. To whom a message goes takes memory as well: a log of very short messages
// takes up to three times this.
//
// Set it to several times the largest message, and to 1 MiB at least. If TCP
// connections are wrapped, the server cannot bound what their sockets hold, and they
// take bytes in bursts of megabytes: leave it at 16 MiB or more for those.
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

// WithLogger sets where the server logs. At Info it logs who joins and leaves and why,
// at Warn refused connections, slow consumers and failures to accept, at Error hooks
// that panic, and at Debug each message with the beginning of its text.
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
// call CheckName first: without it names may be of any bytes, and as long as messages.
// If the rule returns an error, the connection is closed, and [ErrNameRejected] wraps
// that error. A rule cannot keep names unique, since it runs before the member is
// listed, and concurrently for other connections.
//
// The rule runs on the connection's goroutine. It may block, which delays this
// connection alone, and it may call the server. If it panics, the stack is logged and
// the connection is closed.
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

// CheckName is the default name rule. It accepts valid UTF-8 of 1 to 64 bytes without
// control characters. The error says what is wrong, and does not repeat the name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("empty")
	case len(name) > maxNameLen:
		return fmt.Errorf("%d bytes, the limit is %d", len(name), maxNameLen)
	case !utf8.ValidString(name):
		return errors.New("not valid UTF-8")
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("control character %q", r)
		}
	}
	return nil
}

// WithOnJoin adds a hook that runs for each member, once the room lists it and before
// its first message is published. Several hooks run in the order given. The default is
// none.
//
// The hook runs on the member's own goroutine: calls for different members come
// concurrently, those for one member in turn. It may block, which delays the messages
// of this member and its leaving, and nobody else. It may call the server, also
// [Server.Close]; it must call [Server.Shutdown] on a goroutine of its own, since that
// waits for hooks. If it panics, the stack is logged and the member is disconnected
// with [ErrHookFailed].
func WithOnJoin(hook func(Member)) ServerOption {
	return serverOption(func(c *serverConfig) {
		if hook != nil {
			c.onJoin = append(c.onJoin, hook)
		}
	})
}

// WithOnLeave adds a hook that runs exactly once for each member that has left, when the
// room no longer lists it and its connection is closed. The error is the reason, to be
// matched with [errors.Is]: nil for a clean goodbye (the end of the stream between
// frames), [ErrServerClosed] for the server's own end, [ErrSlowConsumer],
// [ErrBadHeader], [io.ErrUnexpectedEOF] and so on. Several hooks run in the order given.
// The default is none.
//
// The hook runs on the member's own goroutine, after its [WithOnJoin] hooks. Calls for
// different members come concurrently. It may block, which delays [Server.Shutdown] and
// nobody else. It may call the server as a join hook may. If it panics, the stack is
// logged.
func WithOnLeave(hook func(Member, error)) ServerOption {
	return serverOption(func(c *serverConfig) {
		if hook != nil {
			c.onLeave = append(c.onLeave, hook)
		}
	})
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

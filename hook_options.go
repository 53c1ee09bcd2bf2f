package chatroom

import "context"

// WithAdmit adds a hook that decides whether a connection may join, when its name has
// arrived. The hook may change the name, the room and the value of the future member.
// It refuses the connection by returning an error, which [Server.ServeConn] returns and
// the server logs. The name rule then checks the name that the hooks have left. Several
// hooks run in the order given. The default is none.
//
// The hook runs on the connection's own goroutine. Calls for different connections are
// concurrent. It may block; its ctx ends at the handshake timeout, or when the server's
// end begins. Before it refuses, it may write frames to [Join.Conn], and the peer still
// receives them; writes fail at the handshake timeout. It must not keep the Join. It may
// call the server. If it panics, the stack is logged and the connection is refused with
// [ErrHookFailed].
func WithAdmit(hook func(ctx context.Context, j *Join) error) ServerOption {
	return serverOption(func(c *serverConfig) {
		if hook != nil {
			c.admit = append(c.admit, hook)
		}
	})
}

// WithOnJoin adds a hook that runs for each member, after its room has listed it and
// before its first message is published. Several hooks run in the order given. The
// default is none.
//
// The hook runs on the member's own goroutine. Calls for one member are serialised;
// calls for different members are concurrent. It may block, which delays only this
// member's messages and its leaving. Its ctx ends when the server disconnects the
// member, when the server's end begins, or soon after the hook has returned. It may call
// the server, even [Server.Close].
// It must call [Server.Shutdown] on another goroutine, because Shutdown waits for
// hooks. If it panics, the stack is logged and the member is disconnected with
// [ErrHookFailed].
func WithOnJoin(hook func(ctx context.Context, m Member)) ServerOption {
	return serverOption(func(c *serverConfig) {
		if hook != nil {
			c.onJoin = append(c.onJoin, hook)
		}
	})
}

// WithOnMessage adds a hook that sees each message of each member before it is
// published. The hook may change From and Body. It drops the message by returning
// [ErrDrop]. If it returns any other error or panics, the message is not published and
// the member is disconnected with that reason. Several hooks run in the order given,
// and each gets the message as the hook before has left it. The default is none.
//
// The hook runs once for each message, on the member's own goroutine. Calls for one
// member come in the order of its messages, and each message is published before the
// hook sees the next. Calls for different members are concurrent. It may block, which
// delays only this member; but a message that waits takes memory, and those of more than
// 32 KiB share an amount that long messages of others need, too. Its ctx ends as that of
// a join hook does. The hook must not keep msg or the Body that it is given. It may call
// the server as a join hook may.
func WithOnMessage(hook func(ctx context.Context, m Member, msg *Message) error) ServerOption {
	return serverOption(func(c *serverConfig) {
		if hook != nil {
			c.onMessage = append(c.onMessage, hook)
		}
	})
}

// WithOnLeave adds a hook that runs exactly once for each member that has left, when
// the room no longer lists the member and its connection is closed. Match the reason
// with [errors.Is]. It is nil for a clean goodbye, which is the end of the stream
// between frames. Otherwise it is [ErrServerClosed] for the server's own end,
// [ErrKicked], [ErrSlowConsumer], [ErrBadHeader], [io.ErrUnexpectedEOF] and so on.
// Several hooks run in the order given. The default is none.
//
// The hook runs on the member's own goroutine, after its [WithOnJoin] hooks. Calls for
// different members are concurrent. It may block, which delays [Server.Shutdown] but no
// other member. Its ctx ends when the server is closed. It may call the server as a
// join hook may. If it panics, the stack is logged.
func WithOnLeave(hook func(ctx context.Context, m Member, reason error)) ServerOption {
	return serverOption(func(c *serverConfig) {
		if hook != nil {
			c.onLeave = append(c.onLeave, hook)
		}
	})
}

// Package chatroom embeds a chat room in any program. A [Server] hosts it over
// any [net.Listener] or [net.Conn] (TCP, TLS, Unix sockets, pipes in memory, what
// an SSH server or a WebSocket gives), and a [Conn] joins it:
//
//	s := chatroom.NewServer()
//	go s.Serve(listener)
//
//	c, err := chatroom.Dial(ctx, "tcp", "localhost:4321", "alice")
//	...
//	err = c.Send(ctx, []byte("hello"))
//	...
//	for m, err := range c.Messages(ctx) { ... }
//
// It speaks the protocol of the well-known Python chat-room tutorials, so their
// clients and servers work with it unmodified. Importing it compiles the standard
// library only.
//
// # Wire protocol
//
// A frame is a header of ten ASCII bytes, the payload's length in bytes in
// decimal, left-justified and padded with spaces, and the payload. A client's
// first frame is its name, each one after it a message. A server sends, for each
// message, the sender's name as a frame and the message as a frame; never one
// without the other, and to everyone but its sender. There are no answers,
// acknowledgements or pings. Payloads are UTF-8 by convention and any bytes by
// protocol. See [AppendFrame] and [ReadFrame].
//
// # What a room promises
//
//   - Order. All members see one sequence of messages, less their own. What one
//     member sends stays in order.
//   - Exclusion. Nobody receives a message of their own. It goes by connection:
//     members may share a name.
//   - Membership. A member receives exactly what the others publish after its join
//     and before its leave. What it has not been sent when it says goodbye, or ends
//     its half of the connection, is dropped.
//   - Isolation. A member that does not read delays nothing that is written to the
//     others. See Pace for when publishing waits.
//   - Bounded memory. What members are behind is held once for the room, up to
//     [WithBacklog], and a TCP socket of the system's holds little more than its
//     peer takes. Nothing is reserved that a peer has only announced.
//   - Clean-up. However a member goes, it leaves the list at once, its goroutines
//     end, its connection is closed, and [WithOnLeave] hooks are told once, with the
//     reason. A member whose own messages have to wait, or whose join hook blocks,
//     is not read from, so its end shows when that does.
//   - No silent loss. A message read whole reaches every member that keeps up,
//     unless the server disconnects its sender while it waits to be published. A
//     member that does not keep up is disconnected with [ErrSlowConsumer]: the
//     hooks, the log and [Stats] tell.
//
// A client's half, and what no protocol without acknowledgements can promise:
// [Conn.Send] returning nil means that the connection took the message, not that
// anybody has it.
//
// # Pace and slow consumers
//
// Whoever publishes, a member or the program, waits while somebody who is not far
// slower than the room is three quarters of a backlog behind. A member is far slower
// if it takes less than a quarter of what the room's middle member takes. What the
// middle would take if it did not have to wait for others counts as well. A member
// that is far slower and a whole backlog behind is disconnected.
//
// So a flood evicts nobody who keeps a quarter of the middle's pace, however long
// it lasts; a room of two goes at the pace of the slower; and no minority, however
// its members read and however often they come back, makes a room slower than a
// quarter of what it is without them. Members that take nothing at all never stop a
// room for more than 5 s at a time.
//
// A member that pauses in a flood is waited for as well: for about a second, or half
// a second if it has neither taken a whole backlog yet nor been there for two
// minutes, and besides that for as long as what it has not taken fits the backlog.
// Members that pause again and again leave less of that for each other. A small
// backlog makes a room quick to judge: keep it at 1 MiB at least.
//
// A member that takes nothing at all for [WithWriteTimeout] is disconnected
// however little it is behind. One that vanishes without a word and is owed
// nothing is noticed by TCP's keep-alive, or by [WithIdleTimeout].
//
// # Concurrency
//
// All methods of a Server and of a Conn are safe for concurrent use. Hooks run on
// the goroutine of the member that they are about and may call the server, and
// [Server.Close] as well; [Server.Shutdown] waits for the hook that calls it, as
// that of net/http does, so a hook calls it on a goroutine of its own. Bytes that
// are passed in may be reused when the call returns; bytes that come out belong to
// the caller.
//
// An idle member costs one goroutine with a small stack, about 4 KiB in all over
// TCP. Over TCP and Unix sockets it has no buffer: it is read when there is
// something to read, and one goroutine of the room writes to all members in turn,
// without waiting for any; a member whose socket is full has a writer of its own
// until it has caught up. Any other connection has a read buffer of 256 bytes,
// and a writer while it is owed something.
//
// # Testing
//
// Package [example.com/chatroom/chatroomtest] tests programs that embed a room,
// without ports or sleeps, also with the fake clock of [testing/synctest].
package chatroom

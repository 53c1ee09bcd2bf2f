// Package chatroom embeds chat rooms in any program. A [Server] hosts them over any
// [net.Listener] or [net.Conn]: TCP, TLS, Unix sockets, pipes in memory, SSH channels,
// WebSockets. A [Conn] joins it:
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
// A program decides who enters which room, what may be said and what a newcomer sees,
// speaks to one or to all, and throws members out: see Hosting.
//
// It speaks the protocol of the well-known Python chat-room tutorials, so their
// clients and servers work with it unmodified. Importing it compiles the standard
// library only.
//
// # Wire protocol
//
// A frame is a header of ten ASCII bytes and a payload. The header is the payload's
// length in bytes, in decimal, left-justified and padded with spaces. A client's first
// frame is its name, and each one after it is a message. For each message the server
// sends two frames to everyone but its sender: the sender's name and the message,
// never one without the other. There are no answers, acknowledgements or pings.
// Payloads are UTF-8 by convention and any bytes by protocol. See [AppendFrame] and
// [ReadFrame].
//
// # What a room promises
//
//   - Order. All members receive the same sequence of messages, without their own.
//     What one member sends stays in order.
//   - Exclusion. Nobody receives a message of their own. A member is its connection
//     and not its name, which members may share.
//   - Membership. A member receives exactly what the others publish in its room after
//     its join and before its leave and, with [WithHistory], the last messages before
//     its join. What it has not been sent when it says goodbye, or ends
//     its half of the connection, is dropped.
//   - Isolation. A member that does not read delays nothing that is written to the
//     others. See Pace for when publishing waits.
//   - Bounded memory. What members have not taken yet is held once for the room, up
//     to [WithBacklog]. A TCP socket of the system's holds little more than its peer
//     takes. No memory is reserved for what a peer has only announced.
//   - Clean-up. However a member goes, it leaves the list immediately, its goroutines
//     end, its connection is closed, and the [WithOnLeave] hooks run once, with the
//     reason. While a member's own messages wait, or its join hook blocks, it is not
//     read, and its end is noticed only afterwards.
//   - No silent loss. A message read whole reaches every member that keeps up,
//     unless a hook drops it, or the server disconnects its sender while the message
//     waits to be published. A member that does not keep up is disconnected with
//     [ErrSlowConsumer], which the hooks, the log and [Stats] tell.
//
// The protocol has no acknowledgements, so there is no promise for a client's half:
// when [Conn.Send] returns nil, the connection has taken the message, but maybe
// nobody has received it.
//
// # Hosting
//
// A connection is in one room: "" unless a [WithAdmit] hook says otherwise. A room is
// there while somebody is in it, "" always, has an order and a pace of its own, and is
// reached by a [Room]. A [Member] speaks to one member and throws it out. Both are handles that may be
// kept. The hooks of a connection run in this order:
//
//   - [WithAdmit] when the name has arrived: may change name and room, and refuses.
//   - [WithOnJoin] when the room lists the member.
//   - [WithOnMessage] for each message before it is published: may change or drop it.
//   - [WithOnLeave] when the member is off the list and its connection is closed.
//
// [WithUniqueNames] and [WithMaxMembers] are decided when the room lists the member, so
// that nobody slips in between. The file docs/cookbook.md has recipes for what else hosts
// want, from passwords to bridges.
//
// # Several servers
//
// A server decides the sequence of its rooms' messages itself, unless [WithOrder] has an
// [Order] decide it. Servers that share an order have the same rooms: who is in a room of
// one hears what is said there on any, in one sequence. See WithOrder for what it changes.
//
// # Pace and slow consumers
//
// Publishing, by a member or by the program, waits while a member that is not far
// slower than the room is three quarters of a backlog behind. A member is far slower
// if it takes less than a quarter of what the room's middle member takes, or would
// take if it did not have to wait for others. A member that is far slower and a whole
// backlog behind is disconnected.
//
// So a flood evicts nobody who keeps a quarter of the middle's pace, however long it
// lasts. A room of two goes at the pace of the slower. No minority, however its
// members read and however often they come back, makes a room slower than a quarter
// of what it is without them. Members that take nothing at all never stop a room for
// more than 5 s at a time.
//
// The room also waits for a member that pauses in a flood, once what the member has
// not taken fills the backlog: for about a second, or half a second if the member has
// neither taken a whole backlog yet nor been there for two minutes. Members that pause
// again and again leave less of that for each other. A small backlog makes a room
// quick to judge: keep it at 1 MiB at least.
//
// A member that takes nothing at all for [WithWriteTimeout] is disconnected however
// little it is behind. If nothing is written to a member that vanishes without a word,
// TCP's keep-alive notices, or [WithIdleTimeout].
//
// # Concurrency
//
// All methods of a Server and of a Conn are safe for concurrent use. A hook runs on
// the goroutine of the member that it is about, and may call the server, also
// [Server.Close]. [Server.Shutdown] waits for hooks, as that of net/http waits for
// handlers, so a hook calls it on a goroutine of its own. The caller may reuse bytes
// that it passed in when the call returns, and owns bytes that come out.
//
// An idle member costs one goroutine with a small stack, about 4.5 KiB in all over TCP,
// and a room 1 KiB until something is said in it.
// Over TCP and Unix sockets it has no buffer, since it is read when there is something
// to read. One goroutine of the room writes to all such members in turn, without
// waiting for any. A member whose socket is full has a writer of its own until it has
// caught up. Any other connection has a read buffer of 256 bytes, and a writer while
// something is to be written to it.
//
// # Testing
//
// Package [example.com/chatroom/chatroomtest] tests programs that embed a room,
// without ports or sleeps, also with the fake clock of [testing/synctest].
package chatroom

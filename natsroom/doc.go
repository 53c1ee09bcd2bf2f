// Package natsroom lets several chat servers share their rooms. The sequence of messages is that
// of a stream of NATS JetStream, the engine: what members say on one server goes into the stream,
// and from there to the members of all servers.
//
//	nc, err := natsroom.Connect("nats://a:4222,nats://b:4222,nats://c:4222")
//	...
//	order, err := natsroom.Open(ctx, nc, "lobby", natsroom.WithReplicas(3))
//	...
//	s := chatroom.NewServer(chatroom.WithOrder(order))
//	...
//	err = s.Shutdown(ctx)
//	order.Close()
//	nc.Close()
//
// The file docs/cluster.md says when to use it, and how to set up an engine.
//
// # What the servers promise
//
//   - Order. The members of a room see one sequence, on whichever server they are, without their
//     own messages. What one member says stays in order.
//   - Once. Each message arrives once, also when an acknowledgement is lost, the connection
//     breaks, or the engine elects another leader.
//   - No silent loss. A server that has missed messages, or may have, disconnects its members
//     with [ErrGap], and goes on. Clients that connect again know that they may have missed
//     something.
//   - Bounded memory. A server has up to 1 MiB of messages on their way. Then its members wait,
//     as they wait in a room that is held.
//   - Healing. When the engine is away, publishing waits. If that lasts, members are
//     disconnected, over ten seconds, and [Order.Admit] lets nobody in. All goes on by itself.
//
// A message is published when it has come back from the stream. So a member receives what is
// in the sequence after the point at which its server has listed it. A member that connects to
// another server while a message of its own is on its way may receive that message. A chat server
// that dies takes with it what it had read and not yet got into the stream, at most 1 MiB.
//
// [chatroom.Member.Send] stays on its server.
//
// # Pace
//
// A room that is held on one server stops that server's reading, and the stream keeps what
// follows. When a server is behind by half of what the stream keeps, its beats say so. If servers
// with more than half of all members do, publishing waits on every server. Otherwise that server
// disconnects the members of its rooms that are held, with [chatroom.ErrSlowConsumer].
//
// # The stream
//
// A stream named chatroom-NAME has these subjects:
//
//	chatroom.NAME.room.TOKEN  what was said in one room
//	chatroom.NAME.rooms       what was said in several rooms, or in all
//	chatroom.NAME.beat        beats of the servers
//
// A TOKEN is a room's name, of 1024 bytes at most. Letters, digits, - and _ stand for themselves,
// any other byte is = and two hexadecimal digits, and the empty name is = alone. Servers also
// speak to each other past the stream, at chatroom.NAME.who and chatroom.NAME.pace.
//
// A message is binary. Its numbers are big-endian, or as [binary.AppendUvarint] writes them:
//
//	message  = 1, kind, incarnation (8 bytes), n (8 bytes), body
//	unit     = flags, [room], sender, exceptions, frames      a body of kind "u" has one or more
//	fragment = offset, length of the unit, bytes              a body of kind "f"
//	beat     = flags, members, behind                         a body of kind "b"
//
// Each [Open] draws an incarnation, and numbers its messages from 1. The header Nats-Msg-Id is
// made of the two. The flags of a unit are 1 if it is for all rooms, and 2 if it names its
// room, as units in the subject rooms do. A room is its length and its bytes. The sender is a
// member's id on the server that has published the unit, or 0 for the program. Exceptions are
// their number and the distance of each id from the one before. Frames are their length
// and the bytes that the room's protocol has. The flags of a beat are 1 if the server is far
// behind, and 2 if it is its last. What cannot be read is skipped and logged, on all servers alike.
//
// # Log
//
// [WithLogger] takes a [slog.Logger]. These are the messages and the keys of their attributes.
// All have the order's name as the attribute order.
//
//	Info   stream made       stream                        there was none
//	Info   reading again     cursor, error                 the engine does not answer, or oddly
//	Warn   gap               reason, from, to, [server]    the members are disconnected
//	Warn   state             from, to, silent              see [State]; Info if it is in order again
//	Info   pace              waits, members, pressed       publishing waits, or no more, for servers far behind
//	Warn   evicted           room, members                 a room was held for too long
//	Info   server came       server                        another server, or this one, is in the order
//	Info   server gone       server                        it has ended, or is silent
//	Warn   message skipped   sequence, subject, error      it could not be read
//	Warn   connection        error                         it is not set up for this; use [Connect]
//	Debug  publishing again  n, error                      an attempt has failed
//	Debug  repeat dropped    server, n                     the stream has a message twice
package natsroom

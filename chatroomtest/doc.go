// Package chatroomtest tests programs that embed a chat room, and chat rooms
// themselves: what net/http/httptest is to net/http. Everything happens in memory,
// on [net.Pipe], so there are no ports, no sleeps and no luck.
//
//	func TestGreeting(t *testing.T) {
//		s := chatroomtest.NewServer(t, chatroom.WithOnJoin(greet))
//		alice := s.Join("alice")
//		alice.Want("host", "welcome, alice")
//	}
//
// [NewServer] starts a server with the program's own options, hooks included, and
// ends it when the test does; the test fails if anything of it is left running.
// [Server.Join] returns when the room lists the member and its join hooks have
// returned, so no message sent afterwards can miss it. [Client.Want] is the next
// message, exactly; [Client.WantNothing] says that there is none.
//
// # Time
//
// All of it works inside [testing/synctest] bubbles, where it is exact and an
// hour takes no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		s := chatroomtest.NewServer(t, chatroom.WithIdleTimeout(time.Hour))
//		s.Join("alice").WantClosed() // an hour later
//	})
//
// Outside a bubble, WantNothing listens for 50 ms, and whatever waits gives up
// after 10 s, a day of the bubble's clock inside one, and fails the test with who
// is in the room.
//
// # Ways to go, and half frames
//
// [Client.Close] says goodbye. [Client.Cut] does not: the server finds the
// connection reset. [Client.SendPart] leaves a frame unfinished. [Server.Raw] is
// a connection on which the test writes and reads the bytes itself.
// [Server.WaitLeave] returns why somebody left, [Server.WantRefused] why somebody
// was not let in.
//
// # Transports
//
// [NewServerOn] does the same over any listener, such as TLS on a loopback port.
// [Listener] stands alone too, as a [net.Listener] for a server and a dialer for
// [chatroom.WithDialer].
//
// Methods that fail a test do so on its own goroutine, so call them there.
package chatroomtest

// Package chatroomtest tests programs that embed a chat room, and chat rooms
// themselves: what net/http/httptest is to net/http. Everything happens in memory,
// so there are no ports, no sleeps and no luck.
//
// # I embed a room: how do I test my hooks?
//
// Start a server with the options of the program, join it, and say what each
// member must receive:
//
//	func TestGreeting(t *testing.T) {
//		s := chatroomtest.NewServer(t, chatroom.WithOnJoin(greet))
//		alice := s.Join("alice")
//		alice.Want("host", "welcome, alice")
//	}
//
// [NewServer] ends the server when the test does; the test fails if anything of
// it is left running, and says whose leave is missing. [Server.Join] returns when
// the room lists the member and its join hooks have returned, so no message sent
// afterwards can miss it. [Client.Want] is the next message, exactly;
// [Client.WantNothing] says that there is none. [Client.Close] says goodbye,
// [Client.Cut] does not; [Server.WaitLeave] returns why somebody left, and
// [Server.WantRefused] why somebody was not let in.
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
// is in the room. The faults below, pipes and scripts are exact in a bubble as
// well: they wait on nothing but channels, conditions and timers.
//
// # Which tool answers which question
//
//	What do my hooks do?                        NewServer, Join, Want
//	... over my own listener?                   NewServerOn
//	... when they need the server itself?       WithServer
//	... when a client is refused?               WantRefused
//	... an hour later?                          a synctest bubble
//	... when a client hangs, is slow, is cut?   Stall, Bandwidth, Latency, LimitData, Reset
//	Does my client cope with any framing?       TestClient; Raw and SendPart by hand; Slice
//	Does my server speak the protocol?          TestServer
//	Does my listener do what Serve needs?       TestListener
//	What exactly is on the wire?                the files in chatroomtest/wire
//	How do I show a bug, or keep it fixed?      RunScripts
//	Who is still there at the end of a test?    NewServer's own clean-up
//
// # Faults
//
// [Slice], [Stall], [LimitData], [Latency], [Bandwidth] and [Corrupt] wrap any
// [net.Conn], and each other, on either end. [Server.JoinConn] joins over such a
// connection, [WrapListener] and [WrapDial] wrap all of a server's. [Reset] and
// [CloseWrite] end a connection, or a half of it.
//
//	nc := chatroomtest.Stall(dial())
//	alice := s.JoinConn(nc, "alice")
//	nc.StallReads() // alice hangs
//
// The connections of [NewServer] have no buffers, so that a test decides when
// bytes move. [Pipe] and [NewBufferedListener] have as much as they are told to.
//
// # Scripts
//
// [RunScripts] runs a room's stories from text files, a line for each act:
//
//	join alice
//	join bob
//	alice: hello
//	bob< alice: hello
//	cut alice mid-frame
//	sleep 1h
//
// # Proofs
//
// [TestServer], [TestClient] and [TestListener] are suites in the manner of
// [testing/slogtest]: each case has a name, says why it is there, and can be
// skipped by [SkipCase].
//
// # Transports
//
// [NewServerOn] does the same over any listener, such as TLS on a loopback port.
// [Listener] stands alone too, as a [net.Listener] for a server and a dialer for
// [chatroom.WithDialer].
//
// Methods that fail a test do so on its own goroutine, so call them there.
package chatroomtest

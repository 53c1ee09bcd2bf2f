// Package chatroomtest tests programs that embed a chat room, and chat rooms
// themselves: what net/http/httptest is to net/http. Everything happens in memory,
// so there are no ports, no sleeps and no luck.
//
//	func TestGreeting(t *testing.T) {
//		s := chatroomtest.NewServer(t, chatroom.WithOnJoin(greet))
//		alice := s.Join("alice")
//		alice.Want("host", "welcome, alice")
//	}
//
// [NewServer] takes the options of the program's server, and ends the server when the
// test does; the test fails if anything of it is left running, and says whose leave is
// missing. [Server.Join] returns when the room lists the member and its join hooks have
// returned, so no message sent afterwards can miss it. [Client.Want] is the next
// message, exactly.
//
// A method that waits for something and fails the test without it is called Want. One
// that returns what it waits for is called Wait, or by a noun. [Client.Close] says
// goodbye, [Client.Cut] does not; [Server.WaitLeave] returns why somebody left, and
// [Server.Refusal] why somebody is not let in. Methods that fail a test do so on its
// own goroutine, so call them there.
//
// # Time
//
// All of it works inside [testing/synctest] bubbles, where it is exact and an hour
// takes no time. Make the server inside:
//
//	synctest.Test(t, func(t *testing.T) {
//		s := chatroomtest.NewServer(t, chatroom.WithIdleTimeout(time.Hour))
//		s.Join("alice").WantClosed() // an hour later
//	})
//
// [Client.WantNothing] says in a bubble that there is no message. Outside of one nobody
// can tell, and [Client.WantQuiet] listens for as long as it is told. What waits gives
// up after 10 s, after a day of the clock in a bubble, and fails the test with who is
// in the room, and who has left it and why.
//
// # Members that nobody reads
//
// The connections of NewServer have no buffer: what is written has been read. So a
// member whose messages the test does not receive is a slow consumer: it is disconnected
// when something has waited for it for the write timeout, 30 s. A sleep of an hour is
// long enough for that, also on the fake clock. Let it read all there is:
//
//	alice := s.Join("alice")
//	alice.Drain()
//
// or give the connections buffers, as those of TCP have:
//
//	l := chatroomtest.NewBufferedListener(64 << 10)
//	s := chatroomtest.NewServerOn(t, l, l.DialContext)
//
// # Which tool answers which question
//
//	What do my hooks do?                        NewServer, Join, Want
//	... over my own listener?                   NewServerOn
//	... in other rooms?                         JoinRoom
//	... when a client is refused?               Refusal
//	... an hour later?                          a synctest bubble
//	... when a client hangs, is slow, is cut?   DialLink and JoinConn; Cut
//	What if several servers share the rooms?    NewOrder
//	Does my client cope with any framing?       TestClient; NewLink and SetSlice
//	Does my server speak the protocol?          TestServer; DialRaw and SendPart by hand
//	Does my listener do what Serve needs?       TestListener
//	What exactly is on the wire?                the files in chatroomtest/wire
//	How do I show a bug, or keep it fixed?      RunScripts
//	Who is still there at the end of a test?    NewServer's own clean-up
//
// # Faults
//
// A [Link] is a connection in memory of which the line can be made bad, and
// [Server.DialLink] is one to the server:
//
//	link := s.DialLink(16)       // bytes, which it takes whether or not she reads
//	alice := s.JoinConn(link, "alice")
//	link.StallReads()            // alice hangs
//	link.Peer().SetRate(1000)    // what she is sent arrives at 1000 bytes a second
//	link.CutAfter(12)            // her next message is cut behind two bytes of its text
//
// What is set on an end is about what that end writes; the server's end is the Peer.
// [Reset] ends any connection without a goodbye.
//
// # Scripts and proofs
//
// [RunScripts] runs a room's stories from text files. [TestServer], [TestClient] and
// [TestListener] are suites in the manner of [testing/slogtest]: each case has a name,
// says why it is there, and can be skipped, also in part, by [SkipCase].
package chatroomtest

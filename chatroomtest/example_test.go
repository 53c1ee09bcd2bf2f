package chatroomtest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// run runs a test as go test does, for the examples. In a file of a program's own
// tests, test would be a function called TestSomething.
func run(test func(t *testing.T)) {
	verbose := flag.Lookup("test.v").Value // what go test -v prints is not this example's output
	was := verbose.String()
	_ = verbose.Set("false")
	defer func() { _ = verbose.Set(was) }()
	passed := testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestSomething", F: test}})
	fmt.Println("passed:", passed)
}

// A program greets who comes, and tells the others who goes: the hooks are tested
// by joining, talking and leaving.
func ExampleNewServer() {
	run(func(t *testing.T) {
		var s *chatroomtest.Server
		s = chatroomtest.NewServer(t,
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				_ = s.Broadcast(context.Background(), "host", []byte("welcome, "+m.Name))
			}),
			chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, reason error) {
				_ = s.Broadcast(context.Background(), "host", []byte(m.Name+" has left"))
			}))
		alice := s.Join("alice")
		alice.Want("host", "welcome, alice")
		bob := s.Join("bob")
		alice.Want("host", "welcome, bob")
		bob.Want("host", "welcome, bob")

		alice.Send("hello")
		bob.Want("alice", "hello")
		bob.Close()
		alice.Want("host", "bob has left")
	})
	// Output: passed: true
}

// In a bubble an hour takes no time, and "nothing comes" is exact.
func ExampleNewServer_synctest() {
	run(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithIdleTimeout(time.Hour))
			alice := s.Join("alice")
			start := time.Now()
			alice.WantNothing()
			alice.WantClosed()
			fmt.Println("closed after", time.Since(start))
		})
	})
	// Output:
	// closed after 1h0m0s
	// passed: true
}

// The same over a listener of the program's own, here on a port of loopback.
func ExampleNewServerOn() {
	run(func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := chatroomtest.NewServerOn(t, l, new(net.Dialer).DialContext)
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("over TCP")
		bob.Want("alice", "over TCP")
	})
	// Output: passed: true
}

// Who is not let in finds the connection closed; the test finds out why.
func ExampleServer_Refusal() {
	run(func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithNameRule(func(name string) error {
			if name == "host" {
				return errors.New("the program's own name")
			}
			return chatroom.CheckName(name)
		}))
		fmt.Println(s.Refusal("host"))
	})
	// Output:
	// chatroom: name rejected: "host": the program's own name
	// passed: true
}

// A client vanishes in the middle of a message. Half a message is none, and the
// hooks are told.
func ExampleClient_SendPart() {
	run(func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.SendPart("hello", 12) // the header and two bytes
		alice.Close()
		fmt.Println("half a frame:", errors.Is(s.WaitLeave("alice"), io.ErrUnexpectedEOF))
		bob.WantQuiet(10 * time.Millisecond)
	})
	// Output:
	// half a frame: true
	// passed: true
}

// A client that is bytes, for what no well-behaved one would send.
func ExampleServer_DialRaw() {
	run(func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		alice, raw := s.Join("alice"), s.DialRaw()
		raw.SendFrame("mallory")
		s.WantMembers("alice", "mallory")
		alice.Send("hello")
		raw.WantBytes("5         alice5         hello")
		raw.SendBytes("a lot     ")
		fmt.Println(s.WaitLeave("mallory"))
	})
	// Output:
	// chatroom: bad frame header "a lot     ": want digits padded with spaces
	// passed: true
}

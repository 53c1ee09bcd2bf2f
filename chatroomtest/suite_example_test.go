package chatroomtest_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// run runs a test as go test does. In a file of a program's own tests, test
// would be a function called TestSomething.
func run(test func(t *testing.T)) {
	passed := testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestSomething", F: test}})
	fmt.Println("passed:", passed)
}

// A server is proved to speak the protocol. This one is chatroom's own; one in
// another language would be started as a process, and dialed over TCP.
func ExampleTestServer() {
	run(func(t *testing.T) {
		chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
			s := chatroom.NewServer()
			l := chatroomtest.NewListener()
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			tb.Cleanup(func() {
				_ = s.Close()
				<-served
			})
			return func() (net.Conn, error) { return l.DialContext(context.Background(), "", "") }
		},
			chatroomtest.InBubble(), // all of it is in memory
			chatroomtest.SkipCase("huge-header", "an example of a skip"),
		)
	})
	// Output: passed: true
}

// The wire's examples are bytes to check any implementation against.
func ExampleWireExamples() {
	example := chatroomtest.WireExamples("frames")[0]
	fmt.Printf("%s: %q is written as %q\n", example.Name, example.Bytes("payload"), example.Bytes("frame"))
	fmt.Printf("%q is no header\n", chatroomtest.WireExamples("reject")[2].Bytes("header"))
	// Output:
	// ASCII: "hello" is written as "5         hello"
	// "+5        " is no header
}

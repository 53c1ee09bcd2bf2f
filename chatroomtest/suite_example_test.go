package chatroomtest_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A server is proved to speak the protocol. This one is chatroom's own; one in
// another language would be started as a process, and dialed over TCP.
func ExampleTestServer() {
	run(func(t *testing.T) {
		chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
			s := chatroom.NewServer(chatroom.WithMaxMessage(128 << 10))
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
			chatroomtest.SkipCase("large/262144", "the limit is 128 KiB"),
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

// A client is proved to speak the protocol: this one is chatroom's own.
func ExampleTestClient() {
	run(func(t *testing.T) {
		chatroomtest.TestClient(t, func(testing.TB) (net.Listener, chatroomtest.JoinFunc) {
			l := chatroomtest.NewListener()
			return l, func(ctx context.Context, name string) (chatroomtest.Subject, error) {
				return chatroom.Dial(ctx, "", "", name, chatroom.WithDialer(l.DialContext))
			}
		}, chatroomtest.InBubble())
	})
	// Output: passed: true
}

// A listener of a program's own is proved to be what a server needs. A system
// that is slow to fill its buffers is given more time.
func ExampleTestListener() {
	run(func(t *testing.T) {
		chatroomtest.TestListener(t, func(testing.TB) (net.Listener, chatroomtest.DialFunc) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return l, new(net.Dialer).DialContext
		}, chatroomtest.WithHangTimeout(time.Minute))
	})
	// Output: passed: true
}

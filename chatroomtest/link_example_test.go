package chatroomtest_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A member whose program hangs is disconnected, and the others go on.
func ExampleServer_DialLink() {
	run(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(time.Minute))
			link := s.DialLink(10) // bytes
			s.JoinConn(link, "alice")
			bob := s.Join("bob")

			link.StallReads()
			bob.Send("hello, alice")
			fmt.Println(s.WaitLeave("alice"))
		})
	})
	// Output:
	// chatroom: slow consumer: took nothing for 1m0s: write pipe pipe->pipe:link 1: i/o timeout
	// passed: true
}

// A frame that arrives byte by byte is a frame.
func ExampleLink_SetSlice() {
	a, b := chatroomtest.NewLink(0)
	defer b.Close()
	a.SetSlice(1)
	_, _ = a.Write(chatroom.AppendFrame(nil, []byte("hello")))
	name, err := chatroom.ReadFrame(b, 100)
	fmt.Printf("%s, %v\n", name, err)
	// Output: hello, <nil>
}

// A connection that breaks in the middle of a frame.
func ExampleLink_CutAfter() {
	a, b := chatroomtest.NewLink(0)
	defer b.Close()
	a.CutAfter(12) // the header and two bytes
	_, _ = a.Write(chatroom.AppendFrame(nil, []byte("hello")))
	all, err := io.ReadAll(b)
	fmt.Printf("%q, %v\n", all, err)
	// Output: "5         he", <nil>
}

package chatroomtest_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// Two servers share a room.
func ExampleNewOrder() {
	run(func(t *testing.T) {
		order := chatroomtest.NewOrder(t)
		s1 := chatroomtest.NewServer(t, chatroom.WithOrder(order.NewEnd()))
		s2 := chatroomtest.NewServer(t, chatroom.WithOrder(order.NewEnd()))
		alice, bob := s1.Join("alice"), s2.Join("bob")
		alice.Send("hello")
		bob.Want("alice", "hello")
		bob.Send("hello, alice")
		alice.Want("bob", "hello, alice")
	})
	// Output: passed: true
}

// A server that is cut off from the others catches up, or has missed too much.
func ExampleOrderEnd_Stall() {
	run(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			order := chatroomtest.NewOrder(t)
			end := order.NewEnd()
			s1 := chatroomtest.NewServer(t, chatroom.WithOrder(order.NewEnd()))
			s2 := chatroomtest.NewServer(t, chatroom.WithOrder(end))
			alice, bob := s1.Join("alice"), s2.Join("bob")

			end.Stall()
			alice.Send("hello")
			bob.WantNothing()
			end.Resume()
			bob.Want("alice", "hello")

			end.Stall()
			alice.Send("is anybody there?")
			synctest.Wait()
			end.Lose(errors.New("too far behind"))
			end.Resume()
			fmt.Println(s2.WaitLeave("bob"))
		})
	})
	// Output:
	// too far behind
	// passed: true
}

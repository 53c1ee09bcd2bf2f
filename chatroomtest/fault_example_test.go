package chatroomtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A buffer takes what fits, whether or not anybody reads.
func ExamplePipe() {
	run(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := chatroomtest.Pipe(5)
			defer a.Close()
			defer b.Close()

			_ = a.SetWriteDeadline(time.Now().Add(time.Minute))
			n, err := a.Write([]byte("hello, b"))
			fmt.Println(n, errors.Is(err, os.ErrDeadlineExceeded))

			p := make([]byte, 10)
			n, _ = b.Read(p)
			fmt.Printf("%s\n", p[:n])
		})
	})
	// Output:
	// 5 true
	// hello
	// passed: true
}

// A server over connections like those of TCP: with a buffer, and with a goodbye
// that ends one direction.
func ExampleNewBufferedListener() {
	l := chatroomtest.NewBufferedListener(64 << 10)
	defer l.Close()
	client, _ := l.DialContext(context.Background(), "", "")
	server, _ := l.Accept()
	defer client.Close()
	defer server.Close()

	_, _ = client.Write([]byte("that is all")) // does not wait for a reader
	fmt.Println(chatroomtest.CloseWrite(client))
	all, err := io.ReadAll(server)
	fmt.Printf("%s, %v\n", all, err)
	// Output:
	// <nil>
	// that is all, <nil>
}

// A frame that arrives byte by byte is a frame.
func ExampleSlice() {
	a, b := chatroomtest.Pipe(100)
	defer b.Close()
	sliced := chatroomtest.Slice(a, 4)
	go func() {
		_, _ = sliced.Write(chatroom.AppendFrame(nil, []byte("hello")))
		_ = sliced.Close()
	}()
	name, err := chatroom.ReadFrame(b, 100)
	fmt.Printf("%s, %v\n", name, err)
	// Output: hello, <nil>
}

// A connection hangs, its reader gives up, and it goes on.
func ExampleStall() {
	a, b := chatroomtest.Pipe(100)
	defer a.Close()
	nc := chatroomtest.Stall(b)
	defer nc.Close()
	_, _ = a.Write([]byte("hello"))

	nc.StallReads()
	_ = nc.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	p := make([]byte, 10)
	_, err := nc.Read(p)
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))

	nc.ResumeReads()
	_ = nc.SetReadDeadline(time.Time{})
	n, err := nc.Read(p)
	fmt.Printf("%s, %v\n", p[:n], err)
	// Output:
	// true
	// hello, <nil>
}

// The connection ends in the middle of a frame.
func ExampleLimitData() {
	a, b := chatroomtest.Pipe(100)
	defer b.Close()
	limited := chatroomtest.LimitData(a, 12)
	defer limited.Close()

	n, err := limited.Write(chatroom.AppendFrame(nil, []byte("hello")))
	fmt.Println(n, errors.Is(err, chatroomtest.ErrDataLimit))
	_, err = chatroom.ReadFrame(b, 100)
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))
	// Output:
	// 12 true
	// true
}

// The peer finds the connection reset, not ended.
func ExampleReset() {
	a, b := chatroomtest.Pipe(100)
	defer b.Close()
	_ = chatroomtest.Reset(chatroomtest.Slice(a, 1))
	_, err := b.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, syscall.ECONNRESET))
	// Output: true
}

// One end has said all it has to say, and hears the answer.
func ExampleCloseWrite() {
	a, b := chatroomtest.Pipe(100)
	defer a.Close()
	_, _ = a.Write([]byte("anybody there?"))
	_ = chatroomtest.CloseWrite(a)

	question, _ := io.ReadAll(b)
	fmt.Printf("%s\n", question)
	_, _ = b.Write([]byte("no"))
	_ = b.Close()
	answer, _ := io.ReadAll(a)
	fmt.Printf("%s\n", answer)
	// Output:
	// anybody there?
	// no
}

// The writer does not wait for what it wrote to arrive.
func ExampleLatency() {
	a, b := chatroomtest.Pipe(100)
	defer b.Close()
	late := chatroomtest.Latency(a, 20*time.Millisecond)
	start := time.Now()
	_, _ = late.Write([]byte("hello"))
	_ = late.Close()
	all, _ := io.ReadAll(b)
	fmt.Printf("%s, late: %v\n", all, time.Since(start) >= 20*time.Millisecond)
	// Output: hello, late: true
}

// Ten bytes at 500 per second take a while.
func ExampleBandwidth() {
	a, b := chatroomtest.Pipe(100)
	defer b.Close()
	paced := chatroomtest.Bandwidth(a, 500)
	defer paced.Close()
	start := time.Now()
	n, err := paced.Write([]byte("0123456789"))
	fmt.Println(n, err, time.Since(start) >= 10*time.Millisecond)
	// Output: 10 <nil> true
}

// The first byte of a header is hit.
func ExampleCorrupt() {
	a, b := chatroomtest.Pipe(100)
	defer b.Close()
	corrupt := chatroomtest.Corrupt(a, 0)
	defer corrupt.Close()
	_, _ = corrupt.Write(chatroom.AppendFrame(nil, []byte("hello")))
	_, err := chatroom.ReadFrame(b, 100)
	fmt.Println(errors.Is(err, chatroom.ErrBadHeader))
	// Output: true
}

// Every connection of the server is cut at every byte, on both ends.
func ExampleWrapListener() {
	run(func(t *testing.T) {
		slice := func(nc net.Conn) net.Conn { return chatroomtest.Slice(nc, 1) }
		l := chatroomtest.NewListener()
		s := chatroomtest.NewServerOn(t, chatroomtest.WrapListener(l, slice), chatroomtest.WrapDial(l.DialContext, slice))
		alice, bob := s.Join("alice"), s.Join("bob")
		bob.Send("hello")
		alice.Want("bob", "hello")
	})
	// Output: passed: true
}

// Clients on a long line, all of them.
func ExampleWrapDial() {
	run(func(t *testing.T) {
		l := chatroomtest.NewListener()
		dial := chatroomtest.WrapDial(l.DialContext, func(nc net.Conn) net.Conn {
			return chatroomtest.Latency(nc, 10*time.Millisecond)
		})
		s := chatroomtest.NewServerOn(t, l, dial)
		alice, bob := s.Join("alice"), s.Join("bob")
		start := time.Now()
		bob.Send("hello")
		alice.Want("bob", "hello")
		fmt.Println("late:", time.Since(start) >= 10*time.Millisecond)
	})
	// Output:
	// late: true
	// passed: true
}

// A member that stops reading is disconnected, and another hears what is said.
func ExampleServer_Dial() {
	run(func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(10*time.Millisecond))
		nc := chatroomtest.Stall(s.Dial())
		s.JoinConn(nc, "alice")
		bob, carol := s.Join("bob"), s.JoinConn(chatroomtest.Slice(s.Dial(), 1), "carol")

		nc.StallReads()
		bob.Send("hello")
		carol.Want("bob", "hello")
		fmt.Println("slow:", errors.Is(s.WaitLeave("alice"), chatroom.ErrSlowConsumer))
	})
	// Output:
	// slow: true
	// passed: true
}

// Bytes that no client would send, over a connection that is cut on the way.
func ExampleServer_RawConn() {
	run(func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		raw := s.RawConn(chatroomtest.LimitData(s.Dial(), 20))
		raw.SendFrame("alice") // 15 bytes
		_, _ = raw.Write([]byte("5         hello"))
		fmt.Println("half a frame:", errors.Is(s.WaitLeave("alice"), io.ErrUnexpectedEOF))
	})
	// Output:
	// half a frame: true
	// passed: true
}

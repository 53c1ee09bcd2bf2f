package chatroom_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A program embeds a room: it serves a listener, joins it twice, and ends it.
func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	listed := make(chan string)
	s := chatroom.NewServer(chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { listed <- m.Name }))
	go func() { _ = s.Serve(l) }() // returns ErrServerClosed
	defer s.Close()

	ctx := context.Background()
	bob, err := chatroom.Dial(ctx, "tcp", l.Addr().String(), "bob")
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	fmt.Println(<-listed, "is in the room")

	alice, err := chatroom.Dial(ctx, "tcp", l.Addr().String(), "alice")
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	fmt.Println(<-listed, "is in the room")

	if err := alice.Send(ctx, []byte("hello, bob")); err != nil {
		log.Fatal(err)
	}
	m, err := bob.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s > %s\n", m.From, m.Body)
	// Output:
	// bob is in the room
	// alice is in the room
	// alice > hello, bob
}

// The program that hosts the room greets who comes, alone, and tells who goes.
func ExampleWithOnJoin() {
	left := make(chan struct{})
	s := chatroom.NewServer(
		chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
			_ = m.Send(ctx, "host", []byte("welcome, "+m.Name)) // fails only when she has left
		}),
		chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, reason error) {
			fmt.Println(m.Name, "has left, reason:", reason)
			close(left)
		}),
	)
	defer s.Close()
	l := chatroomtest.NewListener()
	go func() { _ = s.Serve(l) }()

	ctx := context.Background()
	alice, err := chatroom.Dial(ctx, "", "", "alice", chatroom.WithDialer(l.DialContext))
	if err != nil {
		log.Fatal(err)
	}
	m, err := alice.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s > %s\n", m.From, m.Body)
	if err := alice.Close(); err != nil {
		log.Fatal(err)
	}
	<-left
	// Output:
	// host > welcome, alice
	// alice has left, reason: <nil>
}

// Names have a rule, which a program can replace or add to.
func ExampleWithNameRule() {
	s := chatroom.NewServer(chatroom.WithNameRule(func(name string) error {
		if err := chatroom.CheckName(name); err != nil {
			return err
		}
		if !strings.HasPrefix(name, "player-") {
			return errors.New("want player-SOMETHING")
		}
		return nil
	}))
	defer s.Close()
	client, server := net.Pipe()
	defer client.Close()
	go func() { _, _ = client.Write(chatroom.AppendFrame(nil, []byte("mallory"))) }()
	err := s.ServeConn(context.Background(), server)
	fmt.Println(errors.Is(err, chatroom.ErrNameRejected))
	fmt.Println(err)
	// Output:
	// true
	// chatroom: name rejected: "mallory": want player-SOMETHING
}

// Who enters, and where: a name of the form "name@room" chooses the room, and the name
// "host" is the program's.
func ExampleWithAdmit() {
	s := chatroom.NewServer(chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
		j.Name, j.Room, _ = strings.Cut(j.Name, "@")
		if strings.EqualFold(j.Name, "host") {
			return errors.New("that is the program's name")
		}
		return nil
	}))
	defer s.Close()
	client, server := net.Pipe()
	defer client.Close()
	go func() { _, _ = client.Write(chatroom.AppendFrame(nil, []byte("Host@games"))) }()
	fmt.Println(s.ServeConn(context.Background(), server))
	// Output: that is the program's name
}

// What may be said: some words are not, and a command is answered to who gave it, alone.
func ExampleWithOnMessage() {
	s := chatroom.NewServer(chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
		if string(msg.Body) == "/who" {
			for _, other := range m.Room().Members() {
				if err := m.Send(ctx, "host", []byte(other.Name+" is here")); err != nil {
					return err
				}
			}
			return chatroom.ErrDrop
		}
		msg.Body = bytes.ReplaceAll(msg.Body, []byte("damn"), []byte("d***"))
		return nil
	}))
	defer s.Close()
	l := chatroomtest.NewListener()
	go func() { _ = s.Serve(l) }()

	ctx := context.Background()
	alice, err := chatroom.Dial(ctx, "", "", "alice", chatroom.WithDialer(l.DialContext))
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	if err := alice.Send(ctx, []byte("/who")); err != nil {
		log.Fatal(err)
	}
	m, err := alice.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s > %s\n", m.From, m.Body)
	// Output: host > alice is here
}

// A newcomer receives what was said last, or what the program has in store.
func ExampleWithHistory() {
	s := chatroom.NewServer(chatroom.WithHistory(20))
	defer s.Close()
	ctx := context.Background()
	if err := s.Room("").Broadcast(ctx, "bob", []byte("said yesterday")); err != nil {
		log.Fatal(err)
	}
	l := chatroomtest.NewListener()
	go func() { _ = s.Serve(l) }()
	alice, err := chatroom.Dial(ctx, "", "", "alice", chatroom.WithDialer(l.DialContext))
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	m, err := alice.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s > %s\n", m.From, m.Body)
	// Output: bob > said yesterday
}

// A name is for whoever used it last: the newcomer takes it over. Ask for a password
// first, or anybody can throw anybody out.
func ExampleMember_Kick() {
	listed := make(chan struct{})
	var s *chatroom.Server
	s = chatroom.NewServer(chatroom.WithUniqueNames(), chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
		for _, m := range s.Room(j.Room).Members() {
			if m.Name == j.Name {
				m.Kick(errors.New("taken over"))
			}
		}
		return nil
	}), chatroom.WithOnJoin(func(context.Context, chatroom.Member) {
		listed <- struct{}{}
	}), chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, reason error) {
		fmt.Println(m.ID, m.Name, reason)
	}))
	l := chatroomtest.NewListener()
	go func() { _ = s.Serve(l) }()

	ctx := context.Background()
	for range 2 {
		c, err := chatroom.Dial(ctx, "", "", "alice", chatroom.WithDialer(l.DialContext))
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		<-listed
	}
	_ = s.Close()
	_ = s.Shutdown(ctx)
	// Unordered output:
	// 1 alice chatroom: kicked: taken over
	// 2 alice chatroom: server closed
}

// A room on a Unix socket, one client of which ranges over what it receives.
func ExampleServer_Serve_unix() {
	dir, err := os.MkdirTemp("", "chatroom")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "room"))
	if err != nil {
		log.Fatal(err)
	}
	listed := make(chan struct{})
	s := chatroom.NewServer(chatroom.WithOnJoin(func(context.Context, chatroom.Member) { close(listed) }))
	go func() { _ = s.Serve(l) }()

	ctx := context.Background()
	alice, err := chatroom.Dial(ctx, "unix", l.Addr().String(), "alice")
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	<-listed
	for _, line := range []string{"one", "two", "three"} {
		if err := s.Broadcast(context.Background(), "host", []byte(line)); err != nil {
			log.Fatal(err)
		}
	}
	go func() { _ = s.Shutdown(ctx) }() // writes out what alice is owed first

	for m, err := range alice.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s > %s\n", m.From, m.Body)
	}
	fmt.Println("the room is closed")
	// Output:
	// host > one
	// host > two
	// host > three
	// the room is closed
}

// What the program can see of its room, and say to it.
func ExampleServer_Members() {
	listed := make(chan struct{})
	s := chatroom.NewServer(chatroom.WithOnJoin(func(context.Context, chatroom.Member) { listed <- struct{}{} }))
	defer s.Close()
	l := chatroomtest.NewListener()
	go func() { _ = s.Serve(l) }()

	ctx := context.Background()
	for _, name := range []string{"alice", "bob"} {
		c, err := chatroom.Dial(ctx, "", "", name, chatroom.WithDialer(l.DialContext))
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		<-listed
	}
	if err := s.Broadcast(context.Background(), "host", []byte("welcome, both")); err != nil {
		log.Fatal(err)
	}
	for _, m := range s.Members() {
		fmt.Println(m.ID, m.Name, m.RemoteAddr)
	}
	st := s.Stats()
	fmt.Println(st.Members, "members,", st.Messages, "message of", st.Bytes, "bytes with its name")
	// Output:
	// 1 alice pipe:1
	// 2 bob pipe:2
	// 2 members, 1 message of 37 bytes with its name
}

// A server's figures for expvar. A program would call expvar.Publish.
func ExampleServer_Stats() {
	s := chatroom.NewServer()
	vars := new(expvar.Map)
	vars.Set("chatroom", expvar.Func(func() any { return s.Stats() }))

	if err := s.Broadcast(context.Background(), "host", []byte("anybody here?")); err != nil {
		log.Fatal(err)
	}
	var st chatroom.Stats
	if err := json.Unmarshal([]byte(vars.Get("chatroom").String()), &st); err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.Members, "members,", st.Messages, "message,", st.Deliveries, "deliveries")
	// Output: 0 members, 1 message, 0 deliveries
}

// A program that wants to know what members say is a member of its own room: a bot
// over a connection in memory.
func ExampleNewConn() {
	listed := make(chan struct{})
	s := chatroom.NewServer(chatroom.WithOnJoin(func(context.Context, chatroom.Member) { listed <- struct{}{} }))
	defer s.Close()
	ctx := context.Background()
	join := func(name string) *chatroom.Conn {
		theirs, ours := net.Pipe()
		go func() { _ = s.ServeConn(ctx, ours) }()
		c, err := chatroom.NewConn(ctx, theirs, name)
		if err != nil {
			log.Fatal(err)
		}
		<-listed
		return c
	}
	bot := join("bot")
	go func() {
		for m, err := range bot.Messages(ctx) {
			if err != nil {
				return // the room has closed
			}
			if string(m.Body) == "/time" {
				_ = bot.Send(ctx, []byte("it is late, "+m.From))
			}
		}
	}()

	alice := join("alice")
	defer alice.Close()
	if err := alice.Send(ctx, []byte("/time")); err != nil {
		log.Fatal(err)
	}
	m, err := alice.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s > %s\n", m.From, m.Body)
	// Output: bot > it is late, alice
}

// A receive that waits for too long can be given up, and loses nothing.
func ExampleConn_Receive() {
	listed := make(chan struct{})
	s := chatroom.NewServer(chatroom.WithOnJoin(func(context.Context, chatroom.Member) { close(listed) }))
	defer s.Close()
	theirs, ours := net.Pipe()
	go func() { _ = s.ServeConn(context.Background(), ours) }()
	alice, err := chatroom.NewConn(context.Background(), theirs, "alice")
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	<-listed

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = alice.Receive(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	if err := s.Broadcast(context.Background(), "host", []byte("still there?")); err != nil {
		log.Fatal(err)
	}
	m, err := alice.Receive(context.Background())
	fmt.Printf("%s > %s %v\n", m.From, m.Body, err)
	// Output:
	// true
	// host > still there? <nil>
}

// A server ends gracefully: it takes no more messages, writes out what members
// are owed, and waits for the leave hooks. Serve returns at once.
func ExampleServer_Shutdown() {
	s := chatroom.NewServer()
	l := chatroomtest.NewListener()
	served := make(chan error)
	go func() { served <- s.Serve(l) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		log.Print("some members were cut off: ", err)
	}
	fmt.Println(<-served)
	// Output: chatroom: server closed
}

// A connection that something else accepted, such as an SSH server or an HTTP
// handler that upgrades, is served by itself.
func ExampleServer_ServeConn() {
	s := chatroom.NewServer()
	defer s.Close()
	theirs, ours := net.Pipe()
	served := make(chan error)
	go func() { served <- s.ServeConn(context.Background(), ours) }()

	alice, err := chatroom.NewConn(context.Background(), theirs, "alice")
	if err != nil {
		log.Fatal(err)
	}
	if err := alice.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("a clean goodbye:", <-served)
	// Output: a clean goodbye: <nil>
}

// A frame is a header of ten bytes and the payload.
func ExampleAppendFrame() {
	wire := chatroom.AppendFrame(nil, []byte("alice"))
	wire = chatroom.AppendFrame(wire, []byte("hello"))
	fmt.Printf("%q\n", wire)
	// Output: "5         alice5         hello"
}

// A frame is read without trusting its header further than the limit.
func ExampleReadFrame() {
	payload, err := chatroom.ReadFrame(strings.NewReader("5         alice"), 64)
	fmt.Printf("%q %v\n", payload, err)
	_, err = chatroom.ReadFrame(strings.NewReader("9999999999"), 64)
	fmt.Println(errors.Is(err, chatroom.ErrFrameTooLarge))
	_, err = chatroom.ReadFrame(strings.NewReader("GET / HTTP"), 64)
	fmt.Println(err)
	// Output:
	// "alice" <nil>
	// true
	// chatroom: bad frame header "GET / HTTP": want digits padded with spaces
}

// A program's own test of its room needs no socket and no sleep: an hour passes
// at once inside a synctest bubble. This one would be TestIdle in a file of the
// program's, called by go test.
func Example_test() {
	testIdle := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithIdleTimeout(time.Hour))
			alice, bob := s.Join("alice"), s.Join("bob")
			alice.Send("anyone here?")
			bob.Want("alice", "anyone here?")
			alice.WantNothing() // not even her own message
			alice.WantClosed()  // an hour later
		})
	}
	verbose := flag.Lookup("test.v").Value // what go test -v prints is not this example's output
	was := verbose.String()
	_ = verbose.Set("false")
	defer func() { _ = verbose.Set(was) }()
	fmt.Println(testing.RunTests(func(pat, str string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestIdle", F: testIdle}}))
	// Output: true
}

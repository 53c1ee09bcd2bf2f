package chatroomtest_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A story is a file, most often of os.DirFS("testdata"). Here it is in memory.
var stories = fstest.MapFS{"idle.txt": {Data: []byte(`
# Who talks may stay.
join alice bob
sleep 59m
alice: hello
bob< alice: hello
sleep 1m
left bob: timeout
members alice
`)}}

func TestStories(t *testing.T) {
	chatroomtest.RunScripts(t, stories, "*.txt", chatroom.WithIdleTimeout(time.Hour))
}

// The program's hooks need the server, which the stories make.
func TestStoriesWithAHost(t *testing.T) {
	var room *chatroom.Server
	chatroomtest.RunScripts(t, fstest.MapFS{"host.txt": {Data: []byte(`
join alice
alice< host: welcome, alice
join bob
alice,bob< host: welcome, bob
`)}}, "*.txt",
		chatroomtest.WithServer(func(s *chatroom.Server) { room = s }),
		chatroom.WithOnJoin(func(m chatroom.Member) {
			_ = room.Broadcast(context.Background(), "host", []byte("welcome, "+m.Name))
		}))
}

func ExampleRunScripts() {
	_ = func(t *testing.T) { // in a test, as TestStories above
		chatroomtest.RunScripts(t, stories, "*.txt", chatroom.WithIdleTimeout(time.Hour))
	}
}

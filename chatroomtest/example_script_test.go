package chatroomtest_test

import (
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

func ExampleRunScripts() {
	_ = func(t *testing.T) { // in a test, as TestStories above
		chatroomtest.RunScripts(t, stories, "*.txt", chatroom.WithIdleTimeout(time.Hour))
	}
}

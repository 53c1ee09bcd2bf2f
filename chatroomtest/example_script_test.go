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

func anHour(testing.TB) []chatroom.ServerOption {
	return []chatroom.ServerOption{chatroom.WithIdleTimeout(time.Hour)}
}

func TestStories(t *testing.T) {
	chatroomtest.RunScripts(t, stories, "*.txt", anHour)
}

// A program's hooks, and what they keep for each story.
func TestStoriesWithAHost(t *testing.T) {
	chatroomtest.RunScripts(t, fstest.MapFS{"host.txt": {Data: []byte(`
option unique-names true
join alice in red
alice< host: welcome, alice
join bob in red
alice,bob< host: welcome, bob
refused other as alice in red: name taken
tell bob as host: be nice
bob< host: be nice
kick bob: was not nice
left bob: kicked
members in red alice
`)}}, "*.txt", func(testing.TB) []chatroom.ServerOption {
		return []chatroom.ServerOption{chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
			_ = m.Room().Broadcast(ctx, "host", []byte("welcome, "+m.Name))
		})}
	})
}

func ExampleRunScripts() {
	_ = func(t *testing.T) { // in a test, as TestStories above
		chatroomtest.RunScripts(t, stories, "*.txt", anHour)
	}
}

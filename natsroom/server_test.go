//go:build unix

package natsroom_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/natsroom"
)

// What a chat server that is killed in a flood has got into the stream reaches all others, once,
// and its members are no longer counted.
func TestServerKilled(t *testing.T) {
	urls := shared.get(t).URLs()
	sites := newSites(t, urls, 2, siteConfig{})
	doomed := startChild(t, urls)
	first, second := sites[0].watch(t, "first"), sites[1].watch(t, "second")
	victims := []*witness{doomed.watch("mallory"), doomed.watch("trudy")}
	talker := sites[0].watch(t, "talker")
	for _, v := range victims {
		v.flood(1 << 20)
	}
	first.wantCount(2000)
	sent := talker.flood(2000)
	first.wantCount(3000)
	doomed.kill()
	sites[1].events.want("server gone")
	wait(t, sent)
	talker.send("the end")
	got, want := first.wantLine("talker: the end"), second.wantLine("talker: the end")
	require.Equal(t, want, got)
	counts := requireNumbered(t, got)
	assert.Equal(t, 2000, counts["talker"])
	assert.Positive(t, counts["mallory"])
	assert.Positive(t, counts["trudy"])
	servers, members := sites[1].order.Count()
	assert.Equal(t, 2, servers)
	assert.Equal(t, 3, members)
	for _, s := range sites {
		assert.Zero(t, s.order.Stats().Gaps)
	}
}

// A chat server that was stopped for a while reads on where it was.
func TestServerStopped(t *testing.T) {
	urls := shared.get(t).URLs()
	s := newSite(t, urls, streamName(t), siteConfig{})
	stopped := startChild(t, urls)
	sleeper := stopped.watch("sleeper")
	watcher, talker := s.watch(t, "watcher"), s.watch(t, "talker")
	talker.send("good night")
	sleeper.wantLine("talker: good night")

	stopped.signal(syscall.SIGSTOP)
	s.events.want("server gone")
	talker.flood(5000)
	want := watcher.wantCount(5001)
	stopped.signal(syscall.SIGCONT)
	require.Equal(t, want, sleeper.wantCount(5001))
	requireNumbered(t, want)
	sleeper.send("good morning")
	watcher.wantLine("sleeper: good morning")
}

// One that was stopped for so long that the stream has lost what follows tells its members so.
func TestServerStoppedForLong(t *testing.T) {
	const messages = 20 << 10 // of a kilobyte: more than the engine sends ahead, and keeps
	urls := shared.get(t).URLs()
	s := newSite(t, urls, streamName(t), siteConfig{order: []natsroom.Option{natsroom.WithRetention(4<<20, time.Hour)}})
	stopped := startChild(t, urls)
	sleeper := stopped.watch("sleeper")
	watcher, talker := s.watch(t, "watcher"), s.watch(t, "talker")
	talker.send("good night")
	sleeper.wantLine("talker: good night")

	stopped.signal(syscall.SIGSTOP)
	s.events.want("server gone")
	talker.floodWith(messages, kilobyte)
	watcher.wantCount(messages + 1)
	stopped.signal(syscall.SIGCONT)
	stopped.events.want("msg=gap")
	stopped.events.want("msg=left", "name=sleeper", "natsroom: messages missed")
	sleeper.wantEnd()

	again := stopped.watch("again")
	talker.send("back again?")
	again.wantLine("talker: back again?")
	again.send("yes")
	watcher.wantLine("again: yes")
	got := sleeper.wantCount(1)
	require.Less(t, len(got), messages)
	for i, line := range got[1:] { // up to where it was disconnected, it has missed nothing
		require.Equal(t, fmt.Sprintf("talker: %d %s", i, kilobyte), line)
	}
}

//go:build unix

package natsroom_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/natsroom"
)

// paced is what a site has if the stream keeps little, and members may be little behind.
var paced = siteConfig{
	order:  []natsroom.Option{natsroom.WithRetention(32<<20, time.Hour)},
	server: []chatroom.ServerOption{chatroom.WithBacklog(1 << 20), chatroom.WithWriteTimeout(time.Hour)},
}

// kilobyte is what paced members say.
var kilobyte = strings.Repeat("k", 1<<10)

// Publishing waits for servers with more than half of all members before the stream forgets what
// they have not read.
func TestPaceWaits(t *testing.T) {
	const messages = 40 << 10 // more than the stream keeps
	sites := newSites(t, shared.get(t).URLs(), 2, paced)
	slow, fast := sites[0], sites[1]
	snail, slug := slow.DialLink(4<<10), slow.DialLink(4<<10)
	snail.Peer().SetRate(64 << 10)
	slug.Peer().SetRate(64 << 10)
	watcher := slow.watchOver(t, snail, "snail")
	slow.watchOver(t, slug, "slug")
	talker := fast.watch(t, "talker")
	sent := talker.floodWith(messages, kilobyte)
	fast.events.want("pace", "waits=true")
	snail.Peer().SetRate(0)
	slug.Peer().SetRate(0)
	fast.events.want("pace", "waits=false")
	wait(t, sent)
	got := watcher.wantCount(messages)
	require.True(t, strings.HasPrefix(got[messages-1], "talker: 40959 "))
	require.Zero(t, slow.order.Stats().Gaps)
}

// It does not wait for a server with fewer. That one disconnects the members of rooms that are
// held, before it misses messages.
func TestPaceEvicts(t *testing.T) {
	const messages = 40 << 10
	sites := newSites(t, shared.get(t).URLs(), 2, paced)
	slow, fast := sites[0], sites[1]
	snail := slow.DialLink(4 << 10)
	snail.Peer().SetRate(64 << 10)
	slow.watchOver(t, snail, "snail")
	aside := slow.JoinRoom("aside", "aside")
	fast.watch(t, "watcher")
	fast.watch(t, "third")
	talker := fast.watch(t, "talker")
	sent := talker.floodWith(messages, kilobyte)
	slow.events.want("evicted", "members=1")
	require.ErrorIs(t, slow.WaitLeave("snail"), chatroom.ErrSlowConsumer)
	wait(t, sent)
	require.NoError(t, fast.Broadcast(t.Context(), "host", []byte("the end")))
	aside.Want("host", "the end")
	require.Zero(t, slow.order.Stats().Gaps)
	require.False(t, fast.events.has("pace", "waits=true"))
}

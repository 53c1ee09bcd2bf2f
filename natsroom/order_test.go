//go:build unix

package natsroom_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/natsroom"
)

// What is said on one server is heard on all, and by its sender on none.
func TestOrderShares(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 3, siteConfig{})
	alice, bob, carol := sites[0].Join("alice"), sites[1].Join("bob"), sites[2].Join("carol")
	alice.Send("hello")
	bob.Want("alice", "hello")
	carol.Want("alice", "hello")
	bob.Send("hi")
	alice.Want("bob", "hi")
	carol.Want("bob", "hi")
}

// All servers hear one sequence, whoever speaks at the same time.
func TestOrderIsOne(t *testing.T) {
	const each = 1000
	sites := newSites(t, shared.get(t).URLs(), 3, siteConfig{})
	var watching []*witness
	for _, s := range sites {
		watching = append(watching, s.watch(t, "watcher"))
	}
	for i, s := range sites {
		for _, name := range []string{"a", "b"} {
			s.watch(t, name+string(rune('0'+i))).flood(each)
		}
	}
	want := watching[0].wantCount(each * 2 * len(sites))
	for _, w := range watching[1:] {
		require.Equal(t, want, w.wantCount(len(want)))
	}
	require.Len(t, requireNumbered(t, want), 2*len(sites))
}

// Rooms of the same name are one room, whatever the name is made of.
func TestOrderKeepsRoomsApart(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	for _, room := range []string{"", "blue", "a room > with.dots * and =", "\x00\xff", strings.Repeat("r", 1024)} {
		alice, bob := sites[0].JoinRoom(room, "alice"), sites[1].JoinRoom(room, "bob")
		alice.Send("this is " + room)
		bob.Want("alice", "this is "+room)
		alice.Close()
		bob.Close()
	}
	carol := sites[0].JoinRoom(strings.Repeat("r", 1025), "carol")
	carol.Send("too long")
	carol.WantClosed()
	require.ErrorIs(t, sites[0].WaitLeave("carol"), chatroom.ErrUnavailable)
}

// The program speaks to the members of all servers, except those of its own that it names.
func TestOrderBroadcasts(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, dave, bob := sites[0].Join("alice"), sites[0].Join("dave"), sites[1].JoinRoom("blue", "bob")
	carol := sites[1].Join("carol")
	require.NoError(t, sites[0].Broadcast(t.Context(), "host", []byte("to all"), alice.Member))
	dave.Want("host", "to all")
	bob.Want("host", "to all")
	carol.Want("host", "to all")
	require.NoError(t, sites[0].Room("").Broadcast(t.Context(), "host", []byte("to one room")))
	alice.Want("host", "to one room")
	dave.Want("host", "to one room")
	carol.Want("host", "to one room")
	require.NoError(t, sites[1].Room("blue").Broadcast(t.Context(), "host", []byte("to blue")))
	bob.Want("host", "to blue")
}

// Messages that are longer than the engine takes arrive whole, and in order with others.
func TestOrderCutsLongMessages(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, bob, carol := sites[0].watch(t, "alice"), sites[1].watch(t, "bob"), sites[1].watch(t, "carol")
	sent := carol.flood(200)
	long := strings.Repeat("long", chatroom.DefaultMaxMessage/4)
	alice.send("short")
	alice.send(long)
	alice.send("short again")
	wait(t, sent)
	var got []string
	for _, line := range bob.wantCount(203) {
		if strings.HasPrefix(line, "alice") {
			got = append(got, line)
		}
	}
	require.Equal(t, []string{"alice: short", "alice: " + long, "alice: short again"}, got)
}

// What was said just before the end of a server reaches the others.
func TestOrderSettlesAtTheEnd(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, bob := sites[0].watch(t, "alice"), sites[1].watch(t, "bob")
	carol := sites[0].watch(t, "carol")
	wait(t, alice.flood(100))
	require.NoError(t, alice.conn.Close()) // all is read
	require.NoError(t, sites[0].Shutdown(t.Context()))
	sites[0].order.Close()
	sites[0].order.Close() // again
	require.Equal(t, bob.wantCount(100), carol.wantCount(100))
	sites[1].events.want("server gone") // it has said so itself
	require.ErrorIs(t, sites[0].order.Submit(t.Context(), chatroom.Batch{}), chatroom.ErrUnavailable)
	require.NoError(t, sites[0].order.Settle(t.Context()))
}

// A server that starts later has the history, and the stream has all of it.
func TestOrderHasHistory(t *testing.T) {
	urls := shared.get(t).URLs()
	early := newSite(t, urls, streamName(t), siteConfig{})
	long := strings.Repeat("long", 100<<10)
	for _, text := range []string{"one", "two", long} {
		require.NoError(t, early.Room("").Broadcast(t.Context(), "alice", []byte(text)))
	}
	require.NoError(t, early.Room("blue").Broadcast(t.Context(), "bob", []byte("not here")))
	require.NoError(t, early.Broadcast(t.Context(), "host", []byte("everywhere")))
	early.settle(t)

	late := newSite(t, urls, streamName(t), siteConfig{server: []chatroom.ServerOption{chatroom.WithHistory(2)}})
	carol := late.Join("carol")
	carol.Want("alice", long)
	carol.Want("host", "everywhere")

	var got []string
	for e, err := range late.order.History(t.Context(), "", time.Time{}) {
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), e.At, time.Hour)
		got = append(got, e.From+": "+string(e.Body))
	}
	require.Equal(t, []string{"alice: one", "alice: two", "alice: " + long, "host: everywhere"}, got)
	for e, err := range late.order.History(t.Context(), "blue", time.Time{}) {
		require.NoError(t, err)
		require.Equal(t, "not here", string(e.Body))
		break // and is not asked for more
	}
	for range late.order.History(t.Context(), "empty", time.Now().Add(time.Hour)) {
		require.Fail(t, "nothing was said")
	}
}

// Servers know how many members there are, and who.
func TestOrderKnowsMembers(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 3, siteConfig{})
	sites[0].Join("alice")
	sites[1].JoinRoom("blue", "bob")
	for _, s := range sites {
		for range sites {
			s.events.want("server came")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := sites[2].order.Members(ctx)
	require.NoError(t, err)
	slices.SortFunc(got, func(a, b natsroom.Presence) int { return strings.Compare(a.Name, b.Name) })
	require.Len(t, got, 2)
	assert.Equal(t, []string{"alice", "", "bob", "blue"}, []string{got[0].Name, got[0].Room, got[1].Name, got[1].Room})
	assert.NotEqual(t, got[0].Server, got[1].Server)
	assert.EqualValues(t, 1, got[1].ID)

	servers, _ := sites[2].order.Count()
	assert.Equal(t, 3, servers)
	sites[0].order.Close()
	sites[2].events.want("server gone")
	servers, _ = sites[2].order.Count()
	assert.Equal(t, 2, servers)
}

// A name or a stream that cannot be used is an error, at once.
func TestOpenRefuses(t *testing.T) {
	urls := shared.get(t).URLs()
	nc, err := natsroom.Connect(urls)
	require.NoError(t, err)
	defer nc.Close()
	for _, name := range []string{"", "a.b", "a b", "*", strings.Repeat("x", 65)} {
		_, err := natsroom.Open(t.Context(), nc, name)
		require.ErrorContains(t, err, "name", "%q", name)
	}
	s := newSite(t, urls, streamName(t), siteConfig{})
	cfg := s.stream(t).CachedInfo().Config
	cfg.MaxMsgSize = 1000
	_, err = s.js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	_, err = natsroom.Open(t.Context(), nc, streamName(t))
	require.ErrorContains(t, err, "1000 bytes at most")
	require.Panics(t, func() { chatroom.NewServer(chatroom.WithOrder(s.order)) })
	_, err = natsroom.Connect("nats://127.0.0.1:1")
	require.Error(t, err)
}

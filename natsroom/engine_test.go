//go:build unix

package natsroom_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/natsroom"
)

// A leader that resigns in a flood loses nothing and doubles nothing.
func TestLeaderStepsDown(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 3, siteConfig{})
	floodAround(t, sites, func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := sites[0].nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN.chatroom-"+streamName(t), nil)
		require.NoError(t, err)
	})
}

// Nor does one that is killed.
func TestLeaderKilled(t *testing.T) {
	cluster := startCluster(t)
	sites := newSites(t, cluster.URLs(), 3, siteConfig{order: []natsroom.Option{natsroom.WithOutage(time.Minute)}})
	floodAround(t, sites, func() {
		leader, _ := cluster.Leader(sites[0].js, "chatroom-"+streamName(t))
		leader.Kill()
	})
}

// floodAround has a member of each site flood, and something happen meanwhile. All see the same.
func floodAround(t *testing.T, sites []*site, happen func()) {
	const each = 2000
	var watching, talking []*witness
	for i, s := range sites {
		watching = append(watching, s.watch(t, "watcher"))
		talking = append(talking, s.watch(t, "talker"+string(rune('0'+i))))
	}
	for _, w := range talking {
		w.flood(each)
	}
	watching[0].wantCount(each)
	happen()
	want := watching[0].wantCount(each * len(sites))
	for _, n := range requireNumbered(t, want) {
		require.Equal(t, each, n)
	}
	for i, w := range watching[1:] {
		require.Equal(t, want, w.wantCount(len(want)), "site %d", i+1)
	}
	for _, s := range sites {
		stats := s.order.Stats()
		assert.Zero(t, stats.Gaps)
		assert.Zero(t, stats.Lost)
	}
}

// Without a majority publishing waits, then members are disconnected. When it is back, all
// goes on by itself.
func TestNoMajority(t *testing.T) {
	cluster := startCluster(t)
	s := newSite(t, cluster.URLs(), streamName(t), siteConfig{order: []natsroom.Option{
		natsroom.WithOutage(3 * time.Second), natsroom.WithSpread(time.Second),
	}})
	alice, bob := s.watch(t, "alice"), s.watch(t, "bob")
	alice.send("before")
	bob.wantLine("alice: before")

	cluster.Nodes[0].Kill()
	cluster.Nodes[1].Kill()
	s.events.want("state", "to=holding")
	s.events.want("state", "to=leaving")
	require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrUnavailable)
	bob.wantEnd()
	alice.wantEnd()
	require.ErrorIs(t, s.Refusal("carol"), chatroom.ErrUnavailable)
	s.events.want("state", "to=out")
	require.ErrorIs(t, s.Broadcast(t.Context(), "host", []byte("hello?")), chatroom.ErrUnavailable)

	cluster.Nodes[0].Start()
	cluster.Nodes[1].Start()
	s.events.want("state", "to=in order")
	dave, erin := s.watch(t, "dave"), s.watch(t, "erin")
	dave.send("after")
	erin.wantLine("dave: after")
}

// A server that is cut off for a while holds. What its members say meanwhile arrives once.
func TestCutOff(t *testing.T) {
	urls := shared.get(t).URLs()
	way := newLine()
	cut := newSite(t, urls, streamName(t), siteConfig{
		order: []natsroom.Option{natsroom.WithOutage(time.Minute)},
		conn:  siteConn(way),
	})
	other := newSite(t, urls, streamName(t), siteConfig{})
	alice, bob := cut.watch(t, "alice"), other.watch(t, "bob")
	carol := other.watch(t, "carol")

	t.Cleanup(way.heal)
	way.stall(inbound, outbound)
	cut.events.want("state", "to=holding")
	other.events.want("server gone")
	bob.send("are you there?")
	carol.wantLine("bob: are you there?")
	for range 2 {
		alice.send("yes") // waits on the server
	}
	way.heal()
	cut.events.want("state", "to=in order")
	alice.wantLine("bob: are you there?")
	alice.send("done")
	require.Equal(t, []string{"alice: yes", "alice: yes", "alice: done"}, bob.wantLine("alice: done"))
	require.Zero(t, cut.order.Stats().Gaps)
}

// A server that is cut off for longer disconnects its members, and no other does.
func TestCutOffForLong(t *testing.T) {
	urls := shared.get(t).URLs()
	way := newLine()
	cut := newSite(t, urls, streamName(t), siteConfig{
		order: []natsroom.Option{natsroom.WithOutage(time.Second), natsroom.WithSpread(time.Second)},
		conn:  siteConn(way),
	})
	other := newSite(t, urls, streamName(t), siteConfig{})
	cut.watch(t, "alice")
	bob, carol := other.watch(t, "bob"), other.watch(t, "carol")

	t.Cleanup(way.heal)
	way.stall(inbound, outbound)
	require.ErrorIs(t, cut.WaitLeave("alice"), chatroom.ErrUnavailable)
	way.heal()
	cut.events.want("state", "to=in order")
	alice := cut.watch(t, "alice")
	bob.send("welcome back")
	carol.wantLine("bob: welcome back")
	alice.wantLine("bob: welcome back")
	require.False(t, other.events.has("to=leaving"))
}

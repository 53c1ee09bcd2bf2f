//go:build unix

package natsroom_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/natsroom"
)

// A stream that somebody deletes is made again, and the members are told that they may have
// missed something.
func TestStreamDeleted(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, bob := sites[0].watch(t, "alice"), sites[1].watch(t, "bob")
	alice.send("hello")
	bob.wantLine("alice: hello")
	require.NoError(t, sites[0].js.DeleteStream(t.Context(), "chatroom-"+streamName(t)))
	requireGoesOn(t, sites)
}

// So is one that somebody deletes and makes again.
func TestStreamMadeAgain(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, bob := sites[0].watch(t, "alice"), sites[1].watch(t, "bob")
	alice.send("hello")
	bob.wantLine("alice: hello")
	cfg := sites[0].stream(t).CachedInfo().Config
	require.NoError(t, sites[0].js.DeleteStream(t.Context(), cfg.Name))
	_, err := sites[0].js.CreateOrUpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	requireGoesOn(t, sites)
}

// requireGoesOn requires that all sites tell their members of a gap, and go on.
func requireGoesOn(t *testing.T, sites []*site) {
	t.Helper()
	var again []*witness
	for _, s := range sites {
		s.events.want("gap")
	}
	for _, s := range sites {
		again = append(again, s.watch(t, "again"))
	}
	again[0].send("still there?")
	again[1].wantLine("again: still there?")
	again[1].send("yes")
	again[0].wantLine("again: yes")
	for _, s := range sites {
		require.EqualValues(t, 1, s.order.Stats().Gaps)
	}
}

// A stream that was emptied is a gap for who had not read it, and none for who had.
func TestStreamEmptied(t *testing.T) {
	urls := shared.get(t).URLs()
	name := streamName(t)
	way := newLine()
	// Of the streams that the package makes nobody may delete messages.
	nc, err := natsroom.Connect(urls)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name:     "chatroom-" + name,
		Subjects: []string{"chatroom." + name + ".room.*", "chatroom." + name + ".rooms", "chatroom." + name + ".beat"},
		Replicas: 3,
	})
	require.NoError(t, err)
	behind := newSite(t, urls, name, siteConfig{
		order: []natsroom.Option{natsroom.WithOutage(time.Minute)},
		conn:  siteConn(way),
	})
	s := newSite(t, urls, name, siteConfig{})
	behind.watch(t, "sleeper")
	alice, bob := s.watch(t, "alice"), s.watch(t, "bob")
	alice.send("hello")
	bob.wantLine("alice: hello")

	t.Cleanup(way.heal)
	way.stall(inbound, outbound)
	behind.events.want("state", "to=holding")
	alice.send("you there?")
	bob.wantLine("alice: you there?")
	s.settle(t)
	require.NoError(t, s.stream(t).Purge(t.Context()))
	way.heal()
	behind.events.want("gap")
	require.ErrorIs(t, behind.WaitLeave("sleeper"), natsroom.ErrGap)
	again := behind.watch(t, "again")
	bob.send("and now?")
	again.wantLine("bob: and now?")
	alice.wantLine("bob: and now?")
	require.Zero(t, s.order.Stats().Gaps)
}

// A message that is in the stream twice, as when it was sent again after the engine has forgotten
// its id, is heard once.
func TestRepeatDropped(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, bob := sites[0].watch(t, "alice"), sites[1].watch(t, "bob")
	alice.send("once")
	bob.wantLine("alice: once")
	stream := sites[0].stream(t)
	stored, err := stream.GetLastMsgForSubject(t.Context(), "chatroom."+streamName(t)+".room.=")
	require.NoError(t, err)
	_, err = sites[0].js.PublishMsg(t.Context(), &nats.Msg{Subject: stored.Subject, Data: stored.Data})
	require.NoError(t, err)
	alice.send("and again")
	require.Equal(t, []string{"alice: once", "alice: and again"}, bob.wantLine("alice: and again"))
	for _, s := range sites {
		s.settle(t)
		stats := s.order.Stats()
		require.EqualValues(t, 1, stats.Repeats)
		require.Zero(t, stats.Gaps)
	}
}

// If acknowledgements do not arrive, what was sent is sent again, also after the engine has
// forgotten it, and heard once.
func TestAcknowledgementsLost(t *testing.T) {
	const window = 500 * time.Millisecond
	urls := shared.get(t).URLs()
	way := newLine()
	deaf := newSite(t, urls, streamName(t), siteConfig{
		order: []natsroom.Option{natsroom.WithDuplicates(window), natsroom.WithOutage(time.Minute), natsroom.WithAckWait(quick)},
		conn:  []nats.Option{way.option(), nats.PingInterval(time.Minute)}, // it stays connected
	})
	other := newSite(t, urls, streamName(t), siteConfig{})
	alice, bob := deaf.watch(t, "alice"), other.watch(t, "bob")
	t.Cleanup(way.heal)
	way.stall(inbound)
	alice.send("hello")
	bob.wantLine("alice: hello")
	other.events.want("repeat dropped")
	way.heal()
	alice.send("do you hear me?")
	require.Equal(t, []string{"alice: hello", "alice: do you hear me?"}, bob.wantLine("alice: do you hear me?"))
	bob.send("yes")
	alice.wantLine("bob: yes")
	stats := deaf.order.Stats()
	require.Positive(t, stats.Retries)
	require.Positive(t, stats.Repeats)
	require.Zero(t, stats.Gaps)
	require.Zero(t, stats.Lost)
}

// If a server's messages are not in the stream that were acknowledged, as when all servers of the
// engine lose power before they have written them, the next one of that server tells.
func TestLossNoticed(t *testing.T) {
	s := newSite(t, shared.get(t).URLs(), streamName(t), siteConfig{})
	s.watch(t, "alice")
	publish := func(n byte) {
		beat := "\x01b" + "12345678" + "\x00\x00\x00\x00\x00\x00\x00" + string(rune(n)) + "\x00\x00\x00"
		_, err := s.js.Publish(t.Context(), "chatroom."+streamName(t)+".beat", []byte(beat))
		require.NoError(t, err)
	}
	publish(7)
	publish(8)
	publish(10)
	s.events.want("gap", "messages of a server are lost")
	require.ErrorIs(t, s.WaitLeave("alice"), natsroom.ErrGap)
	bob := s.watch(t, "bob")
	publish(11)
	require.NoError(t, s.Broadcast(t.Context(), "host", []byte("welcome")))
	bob.wantLine("host: welcome")
	require.EqualValues(t, 1, s.order.Stats().Gaps)
}

// Bytes that no server has published harm nobody.
func TestGarbageSkipped(t *testing.T) {
	sites := newSites(t, shared.get(t).URLs(), 2, siteConfig{})
	alice, bob := sites[0].watch(t, "alice"), sites[1].watch(t, "bob")
	prefix := "chatroom." + streamName(t)
	for _, subject := range []string{prefix + ".room.=", prefix + ".room.=zz", prefix + ".rooms", prefix + ".beat"} {
		for _, data := range []string{"", "x", "\x02u0123456701234567", "\x01b0123456701234567", "\x01u0123456701234568", "\x01f0123456701234569"} {
			_, err := sites[0].js.Publish(t.Context(), subject, []byte(data))
			require.NoError(t, err)
		}
	}
	alice.send("hello")
	bob.wantLine("alice: hello")
	require.Positive(t, sites[1].order.Stats().Malformed)
	require.Zero(t, sites[1].order.Stats().Gaps)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for e, err := range sites[1].order.History(ctx, "", time.Time{}) {
		require.NoError(t, err)
		require.Equal(t, "hello", string(e.Body))
	}
}

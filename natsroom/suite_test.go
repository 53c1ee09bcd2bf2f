//go:build unix

package natsroom_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/natsroom"
)

// Two servers that share an order are, to their members, one: clients connect to them in turn.
func TestConformance(t *testing.T) {
	urls := shared.get(t).URLs()
	chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
		sub := tb.(*testing.T)
		sites := newSites(sub, urls, 2, siteConfig{order: []natsroom.Option{natsroom.WithOutage(time.Minute)}})
		sub.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = sites[0].js.DeleteStream(ctx, "chatroom-"+streamName(sub)) // fewer streams for the other tests
		})
		var turn atomic.Int64
		return func() (net.Conn, error) {
			return sites[turn.Add(1)%2].Listener.DialContext(sub.Context(), "", "")
		}
	},
		// A server reads the sequence a moment after another one, and lists members at its own point.
		chatroomtest.SkipCase("late-join", "a newcomer to one server may receive what was heard on another"),
		// What is refused before it is a message does not reach the order.
		chatroomtest.SkipCase("headers-rejected", "it is the server's own"),
		chatroomtest.SkipCase("bad-header-harms-nobody", "likewise"),
		chatroomtest.SkipCase("garbage", "likewise"))
}

package chatroomtest_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestServerSuite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport, opts ...chatroomtest.SuiteOption) {
		chatroomtest.TestServer(t, startOn(tr.listen), opts...)
	})
}

// startOn starts a server of chatroom's with these options.
func startOn(listen func(tb testing.TB) (net.Listener, chatroomtest.DialFunc), opts ...chatroom.ServerOption) func(tb testing.TB) func() (net.Conn, error) {
	return func(tb testing.TB) func() (net.Conn, error) {
		l, dial := listen(tb)
		s := chatroomtest.NewServerOn(tb, l, dial, opts...)
		tb.Cleanup(func() { _ = s.Close() }) // what a slow reader is owed is of no interest
		return func() (net.Conn, error) {
			return dial(context.Background(), l.Addr().Network(), l.Addr().String())
		}
	}
}

// A server whose names are unique passes all cases but the one that needs twins.
func TestServerSuiteOnUniqueNames(t *testing.T) {
	start := func(tb testing.TB) func() (net.Conn, error) {
		var taken sync.Map
		return startOn(listenPipe,
			chatroom.WithNameRule(func(name string) error {
				if _, ok := taken.Load(name); ok {
					return errors.New("taken")
				}
				return chatroom.CheckName(name)
			}),
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { taken.Store(m.Name, true) }),
			chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) { taken.Delete(m.Name) }),
		)(tb)
	}
	chatroomtest.TestServer(t, start, chatroomtest.InBubble(), chatroomtest.SkipCase("same-name", "names are unique"))
	assert.Equal(t, []string{"same-name"}, slices.Collect(maps.Keys(failing(t, chatroomtest.ServerCases(start)))))
}

// A server with a small limit passes all but the messages that are longer.
func TestServerSuiteOnSmallMessages(t *testing.T) {
	opts := []chatroomtest.SuiteOption{chatroomtest.InBubble()}
	for _, size := range []string{"65535", "65536", "100000", "262144"} {
		opts = append(opts, chatroomtest.SkipCase("large/"+size, "the limit is 32 KiB"))
	}
	chatroomtest.TestServer(t, startOn(listenPipe, chatroom.WithMaxMessage(32<<10)), opts...)
}

// Each fault is found by the cases that are named for it and, where it shows in
// the bytes of the examples, by the conversations; by no other.
func TestServerSuiteFindsFaults(t *testing.T) {
	all := allOf(chatroomtest.ServerCases(nil))
	tests := []struct {
		name   string
		faults serverFaults
		want   []string
	}{
		{"none", serverFaults{}, nil},
		{"echo", serverFaults{echo: true}, []string{"exclusion"}},
		{"excludeNames", serverFaults{excludeNames: true}, []string{"same-name"}},
		{"duplicate", serverFaults{duplicate: true}, []string{"conversations", "no-duplicates"}},
		{"newestName", serverFaults{newestName: true}, []string{"conversations", "sender"}},
		{"countRunes", serverFaults{countRunes: true}, []string{"conversations", "length-in-bytes"}},
		{"rightJustify", serverFaults{rightJustify: true}, []string{"conversations", "headers-written", "headers-rewritten"}},
		{"zeroPad", serverFaults{zeroPad: true}, []string{"conversations", "headers-written", "headers-rewritten"}},
		{"noPad", serverFaults{noPad: true}, all},
		{"forwardHeaders", serverFaults{forwardHeaders: true}, []string{"headers-rewritten"}},
		{"loseOne", serverFaults{loseOne: true}, []string{"no-loss"}},
		{"tearPairs", serverFaults{tearPairs: true}, []string{"conversations", "pairs"}},
		{"swapPairs", serverFaults{swapPairs: true}, []string{"conversations", "order"}},
		{"ownSequences", serverFaults{ownSequences: true}, []string{"one-sequence"}},
		{"leakOnGarbage", serverFaults{leakOnGarbage: true}, []string{"headers-rejected", "huge-header", "garbage"}},
		{"leakAtEnd", serverFaults{leakAtEnd: true}, []string{"hang-up"}},
		{"dieOnGarbage", serverFaults{dieOnGarbage: true}, []string{"huge-header", "bad-header-harms-nobody", "garbage"}},
		{"dieOnReset", serverFaults{dieOnReset: true}, []string{"reset"}},
		{"dieOnBadName", serverFaults{dieOnBadName: true}, []string{"garbage"}},
		{"replay", serverFaults{replay: true}, []string{"late-join"}},
		{"strictHeaders", serverFaults{strictHeaders: true}, []string{"headers-accepted", "headers-rewritten"}},
		{"looseHeaders", serverFaults{looseHeaders: true}, []string{"headers-rejected"}},
		{"noLimit", serverFaults{noLimit: true}, []string{"huge-header"}},
		{"smallLimit", serverFaults{smallLimit: true}, []string{"large"}},
		{"waitForSlow", serverFaults{waitForSlow: true}, []string{"slow-reader"}},
		{"waitForNames", serverFaults{waitForNames: true}, []string{"silent"}},
		{"readOnce", serverFaults{readOnce: true}, []string{"split"}},
		{"dropEmpty", serverFaults{dropEmpty: true}, []string{"conversations", "empty"}},
		{"passHalf", serverFaults{passHalf: true}, []string{"half-frame"}},
		{"forgetLeavers", serverFaults{forgetLeavers: true}, []string{"leave"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantFailing(t, tt.want, chatroomtest.ServerCases(startFaulty(tt.faults, listenHalf)))
		})
	}
}

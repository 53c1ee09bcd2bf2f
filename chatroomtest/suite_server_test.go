package chatroomtest_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

func TestServerSuite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport, opts ...chatroomtest.SuiteOption) {
		chatroomtest.TestServer(t, func(tb testing.TB) func() (net.Conn, error) {
			l, dial := tr.listen(tb)
			s := chatroomtest.NewServerOn(tb, l, dial)
			tb.Cleanup(func() { _ = s.Close() }) // what a slow reader is owed is of no interest
			return func() (net.Conn, error) {
				return dial(context.Background(), l.Addr().Network(), l.Addr().String())
			}
		}, opts...)
	})
}

// Each fault is found by the cases that are named for it and, where it shows in
// the bytes of the examples, by the conversations; by no other.
func TestServerSuiteFindsFaults(t *testing.T) {
	var all []string
	for _, c := range chatroomtest.ServerCases(nil) {
		all = append(all, c.Name)
	}
	tests := []struct {
		name   string
		faults serverFaults
		want   []string
	}{
		{"none", serverFaults{}, nil},
		{"echo", serverFaults{echo: true}, []string{"exclusion"}},
		{"excludeNames", serverFaults{excludeNames: true}, []string{"conversations", "same-name"}},
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
		{"dieOnGarbage", serverFaults{dieOnGarbage: true}, []string{"headers-rejected", "huge-header", "bad-header-harms-nobody", "garbage"}},
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
			got, failures := failing(t, chatroomtest.ServerCases(startFaulty(tt.faults, listenHalf)))
			if !assert.ElementsMatch(t, tt.want, got) {
				for _, name := range got {
					if !slices.Contains(tt.want, name) {
						t.Logf("%s: %.1000s", name, failures[name])
					}
				}
			}
			for name, failure := range failures {
				require.Contains(t, failure, "why it matters: ", name)
			}
		})
	}
}

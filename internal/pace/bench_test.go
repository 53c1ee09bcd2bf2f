package pace_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/chatroom/internal/pace"
)

func BenchmarkLook(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			law, members := flooded(n)
			now, end := time.Unix(0, 0), int64(0)
			for b.Loop() {
				now, end = now.Add(time.Millisecond), end+64<<10
				for i, m := range members {
					m.Pos = end - int64(i*7919%(1<<20))
				}
				law.Look(now, end, slices.Values(members))
			}
		})
	}
}

// flooded returns the pace of a room of n members that are written to all the time.
func flooded(n int) (*pace.Law, []*pace.Member) {
	members := make([]*pace.Member, n)
	for i := range members {
		members[i] = &pace.Member{Blocked: true}
	}
	return pace.New(16 << 20), members
}

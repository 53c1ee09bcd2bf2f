package journal_test

import (
	"testing"

	"example.com/chatroom/internal/journal"
)

// BenchmarkRuns reads a chunk of 64 KiB of which every second unit is not for
// one reader.
func BenchmarkRuns(b *testing.B) {
	const chunk, size = 64 << 10, 64
	for _, bb := range []struct {
		name   string
		except uint64
		reader uint64
	}{
		{"reader=not named", 2, 1},
		{"reader=collides", 65, 1},
		{"reader=with gaps", 1, 1},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := journal.New(chunk)
			for l.End() < chunk-(4<<10) { // until the last chunk is full-grown and empty
				l.Append(journal.Audience(0), make([]byte, 4<<10))
			}
			l.Publish()
			start := l.Cursor()
			for i := range chunk / size {
				l.Append(journal.Except(uint64(i%2)*bb.except), make([]byte, size))
			}
			l.Publish()
			b.ReportAllocs()
			b.SetBytes(chunk)
			dst := make([][]byte, 0, 64)
			for b.Loop() {
				for c := start; ; {
					runs, behind := c.Runs(bb.reader, dst, chunk)
					if len(runs) == 0 {
						break
					}
					c = behind
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	unit := make([]byte, 128)
	for name, audience := range map[string]journal.Audience{"everyone": 0, "except": journal.Except(1)} {
		b.Run("audience="+name, func(b *testing.B) {
			l := journal.New(64 << 10)
			b.ReportAllocs()
			b.SetBytes(int64(len(unit)))
			for b.Loop() {
				l.Append(audience, unit)
				l.Publish()
			}
		})
	}
}

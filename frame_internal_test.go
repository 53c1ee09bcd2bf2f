package chatroom

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// After a large message a reader holds little more than what is unread, whatever
// way it reads and wherever the bytes end.
func TestFrameReaderShrinks(t *testing.T) {
	const size = 1 << 20
	tests := []struct {
		name   string
		behind int // bytes behind the large message
		most   int // held
		wait   bool
	}{
		{"readiness, nothing behind", 0, 0, true},
		{"readiness, a byte behind", 1, smallBuffer, true},
		{"readiness, a header and more behind", 3000, 6000, true},
		{"reads, nothing behind", 0, largeBuffer, false},
		{"reads, the room to spare filled", smallBuffer, largeBuffer, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := frameReader{limit: size}
			stream := AppendFrame(nil, make([]byte, size))
			stream = append(stream, AppendFrame(nil, make([]byte, 3000))[:min(tt.behind, 3010)]...)
			if tt.behind == smallBuffer { // whole, so that all is handed out
				stream = AppendFrame(stream[:headerLen+size], make([]byte, smallBuffer-headerLen))
			}
			src := bytes.NewReader(stream)
			for src.Len() > 0 {
				if tt.wait {
					f.Space(true)
				} else {
					f.makeRoom()
				}
				n, err := src.Read(f.buf[f.wr:])
				require.NoError(t, f.filled(n, err))
				for ok := true; ok; {
					_, ok, err = f.next()
					require.NoError(t, err)
				}
			}
			if tt.wait {
				f.Space(true)
				f.Park()
			} else {
				f.makeRoom()
			}
			require.LessOrEqual(t, len(f.buf), tt.most)
		})
	}
}

// A reader whose large frame is whole gives back what it needed for it, although the next
// frame has begun, and goes on to begin before the last one ends.
func TestFrameReaderShrinksBehindALargeFrame(t *testing.T) {
	const large = 1 << 20
	f := frameReader{limit: large}
	feed := func(p []byte) {
		for len(p) > 0 {
			n := copy(f.Space(false), p)
			require.NoError(t, f.filled(n, nil))
			p = p[n:]
			for ok := true; ok; {
				var err error
				_, ok, err = f.next()
				require.NoError(t, err)
			}
		}
	}
	tiny := AppendFrame(nil, []byte("tiny"))
	feed(append(AppendFrame(nil, make([]byte, large)), tiny[:1]...))
	for range 3 {
		feed(append(tiny[1:len(tiny):len(tiny)], tiny[0]))
		require.Zero(t, f.excess())
	}
	require.LessOrEqual(t, len(f.buf), largeBuffer)
	feed(append(tiny[1:len(tiny):len(tiny)], AppendFrame(nil, make([]byte, large))...)) // and grows again
	require.False(t, f.partial())
}

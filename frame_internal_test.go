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

package wsroom

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However the bytes are cut, a decoder says the same of them, and holds little.
func FuzzDecoder(f *testing.F) {
	for _, frame := range []ws.Frame{
		ws.NewBinaryFrame([]byte("hello")), ws.NewTextFrame([]byte("hello")), ws.NewPingFrame([]byte("x")),
		ws.NewFrame(ws.OpBinary, false, bytes.Repeat([]byte("x"), 300)), ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")),
	} {
		for _, masked := range []bool{false, true} {
			if masked {
				frame = ws.MaskFrameWith(frame, [4]byte{1, 2, 3, 4})
			}
			b := ws.MustCompileFrame(frame)
			f.Add(append(b, b...), masked, 1)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte, masked bool, cut int) {
		whole := decoder{masked: masked}
		all := append([]byte{}, wire...)
		n, wantErr := whole.decode(all)
		pieces := decoder{masked: masked}
		var got []byte
		var gotErr error
		for rest := append([]byte{}, wire...); len(rest) > 0 && gotErr == nil; {
			k := min(len(rest), 1+max(cut, 0)%7)
			var m int
			m, gotErr = pieces.decode(rest[:k])
			got = append(got, rest[:m]...)
			rest = rest[k:]
		}
		assert.Equal(t, string(all[:n]), string(got))
		assert.Equal(t, wantErr, gotErr)
		assert.LessOrEqual(t, cap(pieces.control)+cap(pieces.pong), 1024)
		var closed *CloseError
		if wantErr != nil && wantErr != errEnd {
			require.ErrorAs(t, wantErr, &closed)
		}
	})
}

// What an encoder writes, however it is cut, a decoder reads.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("hello"), true, 3, 2)
	f.Add(bytes.Repeat([]byte("x"), 1<<16), false, 70000, 1)
	f.Fuzz(func(t *testing.T, stream []byte, masks bool, size, cut int) {
		e, d := encoder{masks: masks}, decoder{masked: masks}
		size, cut = 1+max(size, 0)%(1<<17), 1+max(cut, 0)%100_000
		if len(stream)/size > 1000 {
			t.Skip("it takes long and shows nothing more")
		}
		var got []byte
		for step, rest := 0, stream; len(rest) > 0; step++ {
			if step%3 == 0 && e.between() {
				e.addControl(ws.OpPing, []byte{byte(step)})
			}
			p := rest[:min(size, len(rest))]
			head, most := e.next(len(p))
			b := e.encode(append([]byte{}, head...), p[:most])
			b = b[:min(len(b), (step+1)%2*len(b)+step%2*(cut%(len(b)+1)))] // every other one is cut
			rest = rest[e.wrote(len(b)):]
			n, err := d.decode(b)
			require.NoError(t, err)
			got = append(got, b[:n]...)
		}
		assert.Len(t, got, len(stream))
		assert.True(t, bytes.Equal(stream, got))
	})
}

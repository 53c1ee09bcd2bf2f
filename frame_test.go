package chatroom_test

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

func TestAppendFrame(t *testing.T) {
	tests := []struct {
		payload, want string
	}{
		{"", "0         "},
		{"hello", "5         hello"},
		{"grüße", "7         grüße"},
		{"\x00\xff\n", "3         \x00\xff\n"},
		{strings.Repeat("x", 1234567), "1234567   " + strings.Repeat("x", 1234567)},
	}
	for _, tt := range tests {
		got := chatroom.AppendFrame([]byte("before"), []byte(tt.payload))
		assert.Equal(t, "before"+tt.want, string(got))
	}
}

func TestReadFrameHeaders(t *testing.T) {
	accepted := []string{
		"5         ", "    5     ", "         5", "0000000005", "5\t\t\t\t\t\t\t\t\t", "\n\n5\r\n     ", " \t5\n      ",
	}
	for _, header := range accepted {
		got, err := chatroom.ReadFrame(strings.NewReader(header+"hello"), 5)
		require.NoError(t, err, "header %q", header)
		assert.Equal(t, "hello", string(got), "header %q", header)
	}

	rejected := []string{
		"          ", "\t\n\r       ", "+5        ", "-5        ", "-0        ", "5_0       ", "5 0       ", "5.        ",
		"0x5       ", "five      ", "5\x00        ", "٥        ", "5\v        ", "5\f        ", "\xa05        ", "5e1       ",
	}
	for _, header := range rejected {
		_, err := chatroom.ReadFrame(strings.NewReader(header+strings.Repeat("x", 100)), 100)
		require.ErrorIs(t, err, chatroom.ErrBadHeader, "header %q", header)
		assert.NotErrorIs(t, err, chatroom.ErrFrameTooLarge)
	}
	_, err := chatroom.ReadFrame(strings.NewReader("12 \x1b[2J 34"), 100)
	assert.ErrorContains(t, err, `"12 \x1b[2J 34"`, "the ten bytes are quoted")
}

func TestReadFrameLimit(t *testing.T) {
	frame := string(chatroom.AppendFrame(nil, []byte("hello")))
	tests := []struct {
		limit int
		ok    bool
	}{
		{-1, true}, {0, false}, {4, false}, {5, true}, {6, true},
	}
	for _, tt := range tests {
		_, err := chatroom.ReadFrame(strings.NewReader(frame), tt.limit)
		if tt.ok {
			assert.NoError(t, err, "limit %d", tt.limit)
			continue
		}
		require.ErrorIs(t, err, chatroom.ErrFrameTooLarge, "limit %d", tt.limit)
		assert.ErrorContains(t, err, `"5         "`)
	}
	got, err := chatroom.ReadFrame(strings.NewReader("0         "), 0)
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.NotNil(t, got, "an empty payload is a payload")
}

// A peer cannot make a reader reserve what it announces and does not send.
func TestReadFrameAllocatesAsBytesArrive(t *testing.T) {
	for _, header := range []string{"9999999999", "1048576   "} {
		const runs = 1000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			_, err := chatroom.ReadFrame(strings.NewReader(header), 1<<20)
			require.Error(t, err)
		}
		runtime.ReadMemStats(&after)
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(4096), "header %q", header)
	}
}

func TestReadFrameEnds(t *testing.T) {
	stream := string(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("one")), []byte("")))
	for n := range len(stream) + 1 {
		r := iotest.OneByteReader(strings.NewReader(stream[:n]))
		var err error
		frames := 0
		for err == nil {
			_, err = chatroom.ReadFrame(r, 100)
			frames++
		}
		if n == 0 || n == 13 || n == 23 {
			assert.Equal(t, io.EOF, err, "cut after %d bytes", n)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut after %d bytes", n)
			assert.NotErrorIs(t, err, io.EOF)
		}
	}
	_, err := chatroom.ReadFrame(iotest.ErrReader(io.ErrNoProgress), 100)
	assert.ErrorIs(t, err, io.ErrNoProgress)
}

func TestReadFrameTakesOneFrame(t *testing.T) {
	r := strings.NewReader("3         one3         two")
	for _, want := range []string{"one", "two"} {
		got, err := chatroom.ReadFrame(r, 3)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("5         hello"), 100)
	f.Add([]byte("  05\t     hello0         "), 5)
	f.Add([]byte("9999999999x"), -1)
	f.Add([]byte("-1        "), 10)
	f.Fuzz(func(t *testing.T, stream []byte, limit int) {
		whole := bytes.NewReader(stream)
		pieces := iotest.OneByteReader(bytes.NewReader(stream))
		for {
			got, err := chatroom.ReadFrame(whole, limit)
			same, sameErr := chatroom.ReadFrame(pieces, limit)
			require.Equal(t, err == nil, sameErr == nil, "the pieces that a frame comes in do not matter")
			if err != nil {
				require.Equal(t, err.Error(), sameErr.Error())
				return
			}
			require.Equal(t, got, same)
			if limit >= 0 {
				require.LessOrEqual(t, len(got), limit)
			}
			again, err := chatroom.ReadFrame(bytes.NewReader(chatroom.AppendFrame(nil, got)), len(got))
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}

func BenchmarkReadFrame(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 1 << 20} {
		b.Run(byteSize(size), func(b *testing.B) {
			frame := chatroom.AppendFrame(nil, make([]byte, size))
			r := bytes.NewReader(nil)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(frame)
				if _, err := chatroom.ReadFrame(r, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

//go:build linux

package main

import (
	"bytes"
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A WebSocket stream gives the same payloads however it is cut.
func TestFrameSkipper(t *testing.T) {
	var stream, want []byte
	for _, n := range []int{0, 1, 125, 126, 300, 70_000} {
		payload := bytes.Repeat([]byte{byte('a' + n%26)}, n)
		header := []byte{0x81, byte(n)}
		switch {
		case n >= 1<<16:
			header = []byte{0x81, 127, 0, 0, 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
		case n >= 126:
			header = []byte{0x81, 126, byte(n >> 8), byte(n)}
		}
		stream = append(append(stream, header...), payload...)
		stream = append(stream, 0x89, 4, 'p', 'i', 'n', 'g')
		want = append(want, payload...)
	}
	for _, size := range []int{1, 2, 3, 7, 100, len(stream)} {
		var f frameSkipper
		var got []byte
		for in := stream; len(in) > 0; {
			part := in[:min(size, len(in))]
			in = in[len(part):]
			for payload, rest := f.next(part); ; payload, rest = f.next(rest) {
				got = append(got, payload...)
				if len(rest) == 0 {
					break
				}
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("cut into %d bytes: %d bytes of payload, want %d", size, len(got), len(want))
		}
	}
}

// Each stamp is read however the stream is cut.
func TestStamps(t *testing.T) {
	var stream []byte
	const deliveries = 5
	for range deliveries {
		stream = append(stream, "header"...)
		stream = appendStamp(stream, time.Now())
		stream = append(stream, "the rest"...)
	}
	for size := 1; size <= len(stream); size++ {
		n := 0
		l := &load{stamps: func(_ *member, d time.Duration) {
			n++
			if d < 0 || d > time.Minute {
				t.Errorf("cut into %d bytes: a latency of %v", size, d)
			}
		}}
		m := &member{observed: true, wire: wire{delivery: len(stream) / deliveries, stampAt: len("header")}}
		for in := stream; len(in) > 0; {
			part := in[:min(size, len(in))]
			in = in[len(part):]
			l.count(m, part)
		}
		if n != deliveries || m.got != int64(len(stream)) {
			t.Errorf("cut into %d bytes: %d stamps, %d bytes", size, n, m.got)
		}
	}
}

// A delivery that is lost, or made twice, is noticed.
func TestLoadNotices(t *testing.T) {
	for _, extra := range []int{-1, 0, 1} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(pair[1]) }()
		l, err := newEmptyLoad()
		if err != nil {
			t.Fatal(err)
		}
		defer l.close()
		m := &member{socket: &socket{fd: pair[0]}, wire: wire{delivery: 100}, want: 1000}
		l.members = append(l.members, m)
		if err := l.watch(m); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(pair[1], make([]byte, 1000+100*extra)); err != nil {
			t.Fatal(err)
		}
		l.countMissing(l.members)
		err = l.await(10 * time.Millisecond)
		if err == nil {
			err = l.verify()
		}
		if (err == nil) != (extra == 0) {
			t.Errorf("with %d deliveries too many: %v", extra, err)
		}
	}
}

func TestSpread(t *testing.T) {
	for want, values := range map[string][]float64{
		"–":                       nil,
		"1.50":                    {1.5, math.NaN()},
		"12.0 (11.0–13.0)":        {13, 11, 12},
		"1,234 (1,000–1,000,000)": {1000, 1234, 1000000},
	} {
		if got := spread(values); got != want {
			t.Errorf("%v: %q, want %q", values, got, want)
		}
	}
}

//go:build linux

package main

import (
	"encoding/hex"
	"fmt"
	"time"
)

// stampLen is the length of the time that a message carries, in hexadecimal.
const stampLen = 16

// count accounts for bytes of deliveries.
func (l *load) count(m *member, p []byte) {
	if l.stamps == nil || !m.observed {
		m.got += int64(len(p))
		return
	}
	now := time.Now()
	for len(p) > 0 {
		// The next byte is the at'th of a delivery.
		at := int(m.got % int64(m.delivery))
		n := m.delivery - at
		if from := m.stampAt; at < from {
			n = from - at
		} else if at < from+stampLen {
			n = copy(m.stamp[at-from:], p)
			if at+n == from+stampLen {
				l.stamps(m, sinceStamp(m.stamp[:], now))
			}
		}
		n = min(n, len(p))
		m.got += int64(n)
		p = p[n:]
	}
}

var stampBase = time.Now()

func appendStamp(dst []byte, t time.Time) []byte {
	return fmt.Appendf(dst, "%0*x", stampLen, t.Sub(stampBase).Nanoseconds())
}

// sinceStamp returns how long before now the stamp's time was, or -1 if it is none.
func sinceStamp(stamp []byte, now time.Time) time.Duration {
	var raw [stampLen / 2]byte
	if _, err := hex.Decode(raw[:], stamp); err != nil {
		return -1
	}
	var at int64
	for _, b := range raw {
		at = at<<8 | int64(b)
	}
	return now.Sub(stampBase) - time.Duration(at)
}

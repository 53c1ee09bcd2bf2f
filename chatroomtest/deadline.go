package chatroomtest

import (
	"sync"
	"time"
)

// longAgo is a deadline that is always over.
var longAgo = time.Unix(1, 0)

// A deadline ends waits on a condition. It is guarded by the condition's lock.
type deadline struct {
	timer  *time.Timer // until it fires
	passed bool
}

// setLocked moves the deadline to t, zero being none. changed.L must be held.
func (d *deadline) setLocked(changed *sync.Cond, t time.Time) {
	d.stopLocked()
	d.passed = !t.IsZero() && time.Until(t) <= 0
	if !t.IsZero() && !d.passed {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() {
			changed.L.Lock()
			defer changed.L.Unlock()
			if d.timer == timer { // else it came too late
				d.timer, d.passed = nil, true
				changed.Broadcast()
			}
		})
		d.timer = timer
	}
	changed.Broadcast()
}

// stopLocked ends the timer. The condition's lock must be held.
func (d *deadline) stopLocked() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

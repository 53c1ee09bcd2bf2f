package simulation

import (
	"sync"
	"time"
)

// A deadline ends waits on a condition. It is guarded by the condition's lock.
type deadline struct {
	at    time.Time   // zero for never
	timer *time.Timer // wakes those who wait
}

// setLocked moves the deadline to t, where the zero time is none, and wakes those
// who wait, so that they look at it again. changed.L must be held.
func (d *deadline) setLocked(changed *sync.Cond, t time.Time) {
	d.stopLocked()
	d.at = t
	if !t.IsZero() && !d.overLocked() {
		d.timer = time.AfterFunc(time.Until(t), func() {
			changed.L.Lock()
			defer changed.L.Unlock()
			changed.Broadcast()
		})
	}
	changed.Broadcast()
}

// overLocked reports whether the deadline has passed. The condition's lock must be
// held.
func (d *deadline) overLocked() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// stopLocked ends the timer. The condition's lock must be held.
func (d *deadline) stopLocked() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

package chatroom

import "time"

// checkLaterLocked sees to it that somebody who has vanished is found within two
// write timeouts after something was written to it: whatever is written goes into
// a buffer of the system's, which tries for a quarter of an hour to send it. r.mu
// must be held.
func (r *room) checkLaterLocked() {
	switch {
	case !r.spoken || r.checking || r.checkAfter == 0 || r.state == roomClosed:
		return
	case r.checks == nil:
		r.checks = time.AfterFunc(r.checkAfter, r.checkPeers)
	default:
		r.checks.Reset(r.checkAfter)
	}
	r.checking, r.spoken = true, false
}

// checkPeers disconnects the members whose peers have answered nothing for a write
// timeout. It runs on a goroutine of the timer's.
func (r *room) checkPeers() {
	r.mu.Lock()
	r.checking = false
	r.checkLaterLocked()
	members := r.seatsLocked()
	r.mu.Unlock()
	for _, m := range members {
		if err := m.conn.Check(); err != nil {
			m.owner.writeFailed(err)
		}
	}
}

package chatroom

import "time"

// checksPerPublish is how many checks follow what was published last. A peer may
// vanish just before the first, having answered until then.
const checksPerPublish = 2

// checkLaterLocked sets the timer for checkPeers. The system buffers what is
// written to a peer that has vanished, and tries for a quarter of an hour to send
// it; the check finds it sooner, where the system can tell. r.mu must be held.
func (r *room) checkLaterLocked() {
	switch {
	case r.checksLeft == 0 || r.checkSet || r.checkAfter == 0 || r.state == roomClosed:
		return
	case r.checkTimer == nil:
		r.checkTimer = time.AfterFunc(r.checkAfter, r.checkPeers)
	default:
		r.checkTimer.Reset(r.checkAfter)
	}
	r.checkSet = true
	r.checksLeft--
}

// checkPeers disconnects the members whose peers have answered nothing for a write
// timeout. It runs on a goroutine of the timer's.
func (r *room) checkPeers() {
	r.mu.Lock()
	r.checkSet = false
	r.checkLaterLocked()
	members := r.seatsLocked()
	r.mu.Unlock()
	for _, m := range members {
		if err := m.conn.CheckPeer(); err != nil {
			m.owner.writeFailed(err)
		}
	}
}

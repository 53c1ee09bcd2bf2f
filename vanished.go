package chatroom

import "time"

// checksPerPublish is how many checks follow a publish. The first finds nothing wrong
// with a peer that vanished just before it.
const checksPerPublish = 2

// checkLaterLocked sets the timer for checkPeers, which finds peers that have
// vanished, where the system can tell. Writing finds them late: the system buffers
// what is written, and tries to send it for a quarter of an hour. r.mu must be held.
func (r *room) checkLaterLocked() {
	switch {
	case r.checksLeft == 0 || r.checkSet || r.cfg.writeTimeout == 0 || r.state >= roomClosed:
		return
	case r.checkTimer == nil:
		r.checkTimer = time.AfterFunc(r.cfg.writeTimeout, r.checkPeers)
	default:
		r.checkTimer.Reset(r.cfg.writeTimeout)
	}
	r.checkSet = true
	r.checksLeft--
}

// checkPeers disconnects the members whose peers have answered nothing for a write
// timeout. It runs on a goroutine of checkTimer's.
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

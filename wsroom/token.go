package wsroom

import "time"

// A token is held by one goroutine at a time. It is no lock, because it is kept across I/O,
// where a lock would stop the clock of a bubble of testing/synctest. Until somebody has to
// wait for it, it needs no memory of its own, as a channel would. The connection's mu guards
// its fields.
type token struct {
	held    bool
	waiting int32
	passed  chan struct{} // the token is in here from when it is passed on until somebody who waits takes it
}

// take takes a token. It reports false if it did not get it before patience sent something. If
// patience is nil, it waits for as long as it takes.
func (c *conn) take(t *token, patience <-chan time.Time) bool {
	c.mu.Lock()
	if !t.held {
		t.held = true
		c.mu.Unlock()
		return true
	}
	if t.passed == nil {
		t.passed = make(chan struct{}, 1)
	}
	t.waiting++
	passed := t.passed
	c.mu.Unlock()
	select {
	case <-passed:
		return true
	case <-patience:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-passed: // it came late; if it was for somebody else, that one gets the next
		return true
	default:
		t.waiting--
		return false
	}
}

// giveLocked gives the token back, or passes it on. The connection's mu must be held.
func (t *token) giveLocked() {
	if t.waiting == 0 {
		t.held = false
		return
	}
	t.waiting--
	t.passed <- struct{}{} // it is empty: the one token was here
}

func (c *conn) give(t *token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.giveLocked()
}

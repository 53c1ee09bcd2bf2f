package simulation

import (
	"context"
	"fmt"
	"time"

	"example.com/chatroom"
)

// What differs between the server as it is and as it will be.
const (
	// waits: the program's publishing waits while the room is held.
	waits = false

	// abandons: what is unsent to a slow consumer goes with it.
	abandons = false

	// cutsWrites: closing a layered connection ends a write under way, which a layer's
	// own Close may wait for, and nothing then takes back the deadline of the layer's
	// last words. And a read that writes ends, with the server as well.
	cutsWrites = false

	// heldFor is the part of a backlog that somebody is behind, at least, while the
	// room is held.
	heldFor = 0.25

	// gathers is how many bytes of what was written may not count as written yet.
	gathers = 32 << 10

	// graceLimit is longer than a room waits for its late members.
	graceLimit = 2*time.Second + time.Millisecond

	// tieLimit is longer than it waits for a half that takes nothing at all, which
	// may have had a write under way when that began.
	tieLimit = 61 * time.Second
)

// checkMiddle says that the room is held for no minority, and for no half that takes
// nothing.
func (s *simulation) checkMiddle() {
	h := s.held
	switch {
	case waits:
	case 2*h.loose < h.members && time.Since(h.since) > graceLimit:
		s.fail(fmt.Sprintf("the room not to be held for %d of %d members", h.loose, h.members), "it, for %v", time.Since(h.since))
	case 2*h.loose == h.members && time.Since(h.still) > tieLimit:
		s.fail(fmt.Sprintf("the room not to be held for %d of %d members that take nothing", h.loose, h.members), "it, for %v", time.Since(h.still))
	}
}

func publish(ctx context.Context, s *chatroom.Server, from string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Broadcast(from, body)
}

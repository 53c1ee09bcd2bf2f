package simulation

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"example.com/chatroom"
)

// lingerLimit is how long the server waits for something that usually takes a
// moment: a write that may meet a reset, a read that must end.
const lingerLimit = 500 * time.Millisecond

// checkLink checks that the server uses the connection as it may, and closes it in
// time.
func (s *simulation) checkLink(c *client) {
	state := c.link.look()
	limit := time.Duration(0)
	if state.kind == layeredLink {
		limit = alertTimeout
	}
	switch {
	case s.failed != nil || c.dead:
	case state.misused != "":
		s.fail("no misuse of the connection of "+c.String(), "%s", state.misused)
	case state.closing && !state.closed && time.Since(state.closingSince) > limit:
		s.fail("the connection of "+c.String()+" to be closed", "a Close that has not returned in %v", time.Since(state.closingSince))
	}
}

// checkEnded compares the end of a connection with its causes.
func (s *simulation) checkEnded(c *client) {
	state := c.link.look()
	switch {
	case s.failed != nil || c.dead:
		return
	case c.joined > 1 || c.left > c.joined:
		s.fail(c.String()+" to join once at most and to leave at most as often", "%d joins and %d leaves", c.joined, c.left)
		return
	case c.inHook:
		s.checkHeeds(c, state)
		return
	case !state.closed && c.left == 0:
		s.checkOpen(c, state)
		return
	case !state.closed:
		s.fail("the connection of "+c.String()+", which has left, to be closed", "an open one")
		return
	case c.joined > c.left && s.ending && !s.busyAt.Before(time.Now()):
		return // it waits for what others have sent, of which a hook has not judged all
	case c.joined > c.left:
		s.fail("the leave of "+c.String()+", whose connection is closed, to be told", "nothing; has a leave hook not returned?")
		return
	case c.viaServe && !c.served:
		s.fail("ServeConn to have returned for "+c.String(), "nothing")
		return
	case c.viaServe && c.joined > 0 && c.servedBy != c.reason:
		s.fail("ServeConn to return what leave hooks are told, "+errorText(c.reason), "%v", c.servedBy)
		return
	}
	c.dead = true
	switch {
	case c.joined > 0:
		s.note("        %v has gone: %s", c, errorText(c.reason))
		s.checkReason(c, c.reason)
	case c.viaServe:
		s.note("        %v is refused: %s", c, errorText(c.servedBy))
		s.checkReason(c, c.servedBy)
	default:
		s.note("        %v is refused", c)
	}
	if c.joined == 0 && len(c.causes) == 0 && !s.handshakeOver(c) && c.verdict == nil && !s.mayBeTaken(c) && !s.mayBeFull(c) {
		s.fail(c.String()+" not to be refused", "a closed connection")
	}
	if c.joined > 0 && c.hasUnpublished() && !c.isLossy() && !c.free && !s.mayLose(c.reason) {
		s.fail("all that "+c.String()+" had sent to be published, though it left",
			"%d of %d messages, %s", c.published, len(c.sizes), errorText(c.reason))
	}
	s.checkOwed(c, state)
	s.checkUnsent(c, state)
}

// checkOwed checks that a client that was put out in peace has received all that it was
// owed.
func (s *simulation) checkOwed(c *client, state linkState) {
	// Who was kicked is put out at once if it is a backlog behind.
	kicked := errors.Is(c.reason, chatroom.ErrKicked) && state.eager && !c.loose && !s.mayBeBehind(c)
	ended := errors.Is(c.reason, chatroom.ErrServerClosed)
	switch missing, first := s.missing(c); {
	case s.failed != nil || s.abrupt() || !state.there || state.cutReply:
	case c.joined == 0 && !c.free && state.eager && !c.loose && len(c.got) < len(c.words):
		s.fail(c.String()+" to receive what the hook that refused it had to say", "%q of %q", c.got, c.words)
	case c.joined > 0 && !c.watches && (kicked || ended) && missing > 0:
		s.fail(c.String()+" to receive all it was owed before the end", "%d messages missing, the first of them %s", missing, first)
	}
}

// checkHeeds checks that the context of the hook that c is in has not ended yet, if the
// hook would end with it.
func (s *simulation) checkHeeds(c *client, state linkState) {
	if c.heeds && (c.isKicked() || state.closing || s.ending) {
		s.fail("the context of the hook of "+c.String()+" to have ended", "a hook that waits for it")
	}
}

// checkUnsent checks that a slow consumer's socket drops what it holds, and that no
// other client loses anything that it is owed.
func (s *simulation) checkUnsent(c *client, state linkState) {
	slow := errors.Is(c.reason, chatroom.ErrSlowConsumer)
	switch {
	case state.kind != polledLink || s.failed != nil:
	case slow && !state.abandoned:
		s.fail("what is unsent to "+c.String()+", a slow consumer, to be dropped", "a connection that keeps it")
	case errors.Is(c.reason, chatroom.ErrServerClosed) && !s.abrupt() && state.there && state.unread > 0:
		s.fail("what "+c.String()+" has sent to be read before the end, which would else be a reset", "%d bytes unread", state.unread)
	case !slow && state.dropped > 0:
		s.fail("what is unsent to "+c.String()+" to be kept", "%d bytes dropped, %s", state.dropped, errorText(c.reason))
	}
}

// checkOpen checks that a connection that is still open does not have to end.
func (s *simulation) checkOpen(c *client, state linkState) {
	if s.ending || state.closing || state.replying || c.isKicked() {
		if s.ending && c.ends && c.dueSince.IsZero() {
			c.dueSince = time.Now() // it may be read until the server's end stops that
		}
		return
	}
	// A write may still meet a reset, and who is refused may have words to receive.
	lingers := state.writing && state.kind != streamLink || c.joined == 0 && c.verdict != nil
	heldBack := c.hasUnpublished() && s.live(c.room).Stats().Held
	switch ends := c.ends || c.verdict != nil; {
	case c.named && c.joined == 0 && !ends:
		s.fail(c.String()+", whose name is sent, to have joined or to have been refused", "neither; has a join hook not returned?")
	case !ends || heldBack:
	case c.dueSince.IsZero() && lingers:
		c.dueSince = time.Now()
	case !lingers || time.Since(c.dueSince) > lingerLimit:
		s.fail(c.String()+" to have ended", "a connection that is open; causes: %v", c.causes)
	}
}

// abrupt reports whether the server's end may have cut off members. s.mu must be
// held.
func (s *simulation) abrupt() bool {
	return s.cutShort || slices.ContainsFunc(s.ends, func(e endFacts) bool { return e.err != nil })
}

// mayLose reports whether a member that left with this reason may have left
// messages unread.
func (s *simulation) mayLose(reason error) bool {
	return errors.Is(reason, chatroom.ErrSlowConsumer) || errors.Is(reason, os.ErrDeadlineExceeded)
}

func errorText(err error) string {
	if err == nil {
		return "a clean goodbye"
	}
	return err.Error()
}

// checkReason checks that the reason that the program was told is what happened.
func (s *simulation) checkReason(c *client, reason error) {
	late := errors.Is(reason, os.ErrDeadlineExceeded)
	switch {
	case c.isKickReason(reason),
		c.verdict != nil && errors.Is(reason, c.verdict),
		errors.Is(reason, chatroom.ErrNameTaken) && s.mayBeTaken(c),
		errors.Is(reason, chatroom.ErrRoomFull) && s.mayBeFull(c):
		return
	case errors.Is(reason, chatroom.ErrSlowConsumer) && late:
		state, limit := c.slow.link, s.cfg.write
		if state.kind == layeredLink {
			limit -= limit / 16 // an earlier write's deadline may serve for that long, and its cut is final
		}
		if limit > 0 && state.starving && c.slow.at.Sub(state.hungry) >= limit {
			return
		}
	case errors.Is(reason, chatroom.ErrSlowConsumer):
		if c.loose && s.mayBeBehind(c) {
			return
		}
	case late && c.joined == 0:
		if s.handshakeOver(c) {
			return
		}
	case late:
		if s.cfg.idle > 0 && c.slow.at.Sub(c.slow.link.readSince) >= s.cfg.idle {
			return
		}
		// A read that writes may be stuck in the middle of a frame that was sent whole.
		if s.cfg.frame > 0 && (c.restFor() >= s.cfg.frame || c.rekeyed) {
			return
		}
	}
	for _, want := range c.causes {
		if c.verdict != nil && !errors.Is(want, chatroom.ErrServerClosed) && !errors.Is(want, context.Canceled) {
			continue // a hook's verdict counts more than what the client has done
		}
		if want == nil && reason == nil || want != nil && errors.Is(reason, want) {
			return
		}
	}
	s.fail(c.String()+" to end for one of the causes, or for a timeout that is over", "%s; causes: %v", errorText(reason), c.causes)
}

// mayBeBehind reports whether c, which has left, may have been a backlog behind.
func (s *simulation) mayBeBehind(c *client) bool {
	history := 0
	if s.cfg.history > 0 {
		history = max(s.cfg.backlog/2, s.widest+2*headerLen+64)
	}
	return c.slow.bytes+int64(history)-c.settled > int64(s.cfg.backlog)
}

func (s *simulation) handshakeOver(c *client) bool {
	return s.cfg.handshake > 0 && time.Since(c.opened) >= s.cfg.handshake
}

// checkTimeouts checks that the server has waited for nobody longer than the
// options allow.
func (s *simulation) checkTimeouts(c *client) {
	state, linger := c.link.look(), time.Duration(0)
	if state.replying {
		linger = lingerLimit
	}
	switch {
	case s.failed != nil || c.dead || c.inHook || c.watches || state.closing:
	case c.joined == 0 && c.verdict == nil && s.cfg.handshake > 0 && time.Since(c.opened) >= s.cfg.handshake+linger:
		s.fail(c.String()+" to be refused, since its handshake takes too long", "an open connection")
	case s.ending && state.replying && time.Since(state.readSince) > lingerLimit && time.Since(s.endedAt) > lingerLimit:
		s.fail("the read of "+c.String()+" to end with the server", "one that still writes")
	case s.ending && c.joined > 0 && state.eager && time.Since(s.busyAt) > 4*lingerLimit && time.Since(c.eagerSince) > 4*lingerLimit:
		s.fail(c.String()+", which reads, to have gone with the server", "an open connection")
	case s.cfg.write > 0 && state.writing && time.Since(state.hungry) > 2*s.cfg.write:
		s.fail(c.String()+" to be disconnected, since it has taken nothing since "+state.hungry.Sub(s.start).String(), "an open connection")
	case c.joined > 0 && s.cfg.frame > 0 && !s.ending && c.unfinished() && state.reading && !state.replying && min(time.Since(c.restSince), time.Since(state.readSince)) > s.cfg.frame+s.cfg.frame/16:
		s.fail(c.String()+" to be disconnected, since its frame is unfinished since "+c.restSince.Sub(s.start).String(), "an open connection")
	case c.joined > 0 && s.cfg.idle > 0 && !s.ending && state.reading && time.Since(state.readSince) > s.cfg.idle+linger:
		s.fail(c.String()+" to be disconnected, since it has been silent since "+state.readSince.Sub(s.start).String(), "an open connection")
	}
}

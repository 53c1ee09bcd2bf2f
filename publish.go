package chatroom

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/chatroom/internal/journal"
)

// A doner says when to stop waiting: once Done is closed. Contexts and sessions are
// doners.
type doner interface{ Done() <-chan struct{} }

// publish appends m's messages, in order, each behind prefix, for everyone but m. It
// keeps none of the slices. It waits while the room is held, even if the peer has hung up: what was
// read whole is passed on. It fails once the server has disconnected m. It reports
// whether it has waited.
func (r *room) publish(m *seat, prefix []byte, messages ...[]byte) (waited bool, err error) {
	r.mu.Lock()
	waited, ok := r.enterLocked(m.owner)
	switch {
	case r.state >= roomSealed:
		r.mu.Unlock()
		return waited, ErrServerClosed
	case !ok || m.elem == nil:
		r.passTurnLocked()
		r.mu.Unlock()
		return waited, errNotMember // it was disconnected, and the session knows why
	}
	r.appendAndUnlock(journal.Except(m.ID), nil, prefix, messages...)
	return waited, nil
}

// broadcast appends a message of the program's for everyone but some. It waits while the
// room is held, unless ctx ends.
func (r *room) broadcast(ctx context.Context, prefix, body []byte, except []Member) error {
	if err := r.enter(ctx, roomOpen); err != nil {
		return err
	}
	r.appendAndUnlock(journal.Audience(0), except, prefix, body)
	return nil
}

// sendTo is broadcast for m alone.
func (r *room) sendTo(ctx context.Context, m *seat, prefix, body []byte) error {
	if err := r.enter(ctx, roomOpen); err != nil {
		return err
	}
	if m.elem == nil {
		r.passTurnLocked()
		r.mu.Unlock()
		return ErrMemberGone
	}
	r.appendAndUnlock(journal.Only(m.ID), nil, prefix, body)
	return nil
}

// tryEnter locks r.mu and reports true if its caller, who publishes up to the state last,
// may do so without waiting. An error is why it never may.
func (r *room) tryEnter(last roomState) (entered bool, err error) {
	r.mu.Lock()
	switch {
	case r.state == roomGone:
		err = errRoomGone
	case r.state > last:
		err = ErrServerClosed
	case !r.held && len(r.queue) == 0:
		return true, nil
	}
	r.mu.Unlock()
	return false, err
}

// enter locks r.mu once its caller, who publishes up to the state last, may do so, or
// returns why it may not.
func (r *room) enter(ctx context.Context, last roomState) error {
	r.mu.Lock()
	_, ok := r.enterLocked(ctx)
	if ok && r.state <= last {
		return nil
	}
	defer r.mu.Unlock()
	r.passTurnLocked()
	switch {
	case r.state == roomGone:
		return errRoomGone
	case r.state > last:
		return ErrServerClosed
	}
	return ctx.Err()
}

// enterLocked waits until caller may publish: the room is not held, and all who came
// before have published. When the room ends all may. It reports whether it has
// waited; ok is false if caller was done first. r.mu must be held, and is released
// while it waits.
func (r *room) enterLocked(caller doner) (waited, ok bool) {
	if r.state != roomOpen || !r.held && len(r.queue) == 0 {
		return false, true
	}
	turn := make(chan struct{}, 1)
	r.queue = append(r.queue, turn)
	for ok = true; ok && r.state == roomOpen && (r.held || r.queue[0] != turn); {
		r.mu.Unlock()
		select {
		case <-turn:
		case <-caller.Done():
			ok = false
		}
		r.mu.Lock()
	}
	r.queue = slices.DeleteFunc(r.queue, func(other chan struct{}) bool { return other == turn })
	return true, ok
}

// passTurnLocked lets the first of those who wait publish, if the room is not held.
// r.mu must be held.
func (r *room) passTurnLocked() {
	if !r.held && len(r.queue) > 0 {
		signal(r.queue[0])
	}
}

// signal puts a token into ch, which has room for one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it holds one already
	}
}

// appendAndUnlock appends messages to the log, each behind prefix, for the audience but
// those in except. r.mu must be held; it is released before goroutines are started.
func (r *room) appendAndUnlock(audience journal.Audience, except []Member, prefix []byte, messages ...[]byte) {
	start := r.log.Cursor()
	var few [8]uint64 // so that a few excepted need no memory
	excepted := r.idsLocked(few[:0], except)
	grew := false
	for _, body := range messages {
		header := encodeHeader(len(body))
		grew = r.appendLocked(audience, excepted, prefix, header[:], body) || grew
	}
	r.startAndUnlock(grew, r.showLocked(nil, start, len(messages), audience, excepted))
}

// appendLocked appends one message to the log, given in parts, and reports whether that
// took another chunk. Nothing else appends. r.mu must be held.
func (r *room) appendLocked(audience journal.Audience, excepted []uint64, parts ...[]byte) (grew bool) {
	grew = r.log.Append(audience, parts...)
	for _, id := range excepted {
		r.log.Narrow(journal.Except(id))
	}
	if r.cfg.history > 0 {
		if !audience.IsOnly() {
			r.history.add(r.log)
		}
		r.history.trim(r.log, r.cfg.history, r.log.End()-r.cfg.backlog/2)
	}
	return grew
}

// showLocked shows the n messages that were appended since start to their audience, and
// counts them. It appends those whose writers must be started to woken, which may be nil
// for none. r.mu must be held.
func (r *room) showLocked(woken *[]*seat, start journal.Cursor, n int, audience journal.Audience, excepted []uint64) *[]*seat {
	r.log.Publish()
	r.counts.messages += uint64(n)
	r.counts.bytes += uint64(r.log.End() - start.Pos())
	r.counts.deliveries += uint64(n * r.audienceLocked(audience, excepted))
	if len(r.unpolled) > 0 {
		if woken == nil {
			woken = seatLists.Get().(*[]*seat)
			*woken = (*woken)[:0]
		}
		*woken = r.wakeLocked(*woken, audience, excepted, start)
	}
	return woken
}

// startAndUnlock starts those who write what was appended, and looks at the pace if that
// took another chunk. r.mu must be held; it is released before goroutines are started.
func (r *room) startAndUnlock(grew bool, woken *[]*seat) {
	startSweep := len(r.polled) > 0 && !r.sweeping
	if startSweep {
		r.sweeping = true
		r.sweepers.Add(1)
	}
	r.checksLeft = checksPerPublish
	r.checkLaterLocked()
	if grew {
		if len(r.polled) == 0 && !r.sweeping {
			r.log.Release() // no sweep reclaims what it has noted
		}
		r.lookLocked(time.Now())
	}
	r.passTurnLocked()
	r.mu.Unlock()

	if startSweep {
		go r.sweepFunc()
	}
	if woken == nil {
		return
	}
	for i, m := range *woken {
		(*woken)[i] = nil
		m.startWriter()
	}
	seatLists.Put(woken)
}

// idsLocked appends the ids of those of members that the room lists to ids, which is
// empty, each once and ascending. r.mu must be held.
func (r *room) idsLocked(ids []uint64, members []Member) []uint64 {
	for _, m := range members {
		if sess := m.session(); sess != nil && sess.room == r {
			ids = append(ids, m.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// audienceLocked returns how many members belong to the audience and are not excepted.
// Only a message for everyone excepts any. The sender is a member. r.mu must be held.
func (r *room) audienceLocked(audience journal.Audience, excepted []uint64) int {
	switch {
	case audience.IsOnly():
		return 1
	case audience != 0:
		return r.members.Len() - 1
	}
	return r.members.Len() - len(excepted)
}

// seatLists holds *[]*seat, so that publishing needs no memory once warm.
var seatLists = sync.Pool{New: func() any { return new([]*seat) }}

// wakeLocked moves the unpolled members at rest that belong to the audience to
// seatWriting, with cursors at start, and appends them to woken. The caller starts
// their writers. r.mu must be held.
func (r *room) wakeLocked(woken []*seat, audience journal.Audience, excepted []uint64, start journal.Cursor) []*seat {
	for i := len(r.unpolled) - 1; i >= 0; i-- { // backwards, since moving one takes it from the list
		m := r.unpolled[i]
		if _, isExcepted := slices.BinarySearch(excepted, m.ID); m.elem != nil && audience.Includes(m.ID) && !isExcepted {
			m.cur = start
			m.pos.Store(start.Pos())
			r.moveLocked(m, seatWriting)
			woken = append(woken, m)
		}
	}
	return woken
}

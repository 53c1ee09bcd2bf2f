package chatroom

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// ErrMemberGone is what [Member.Send] returns once the member has left its room.
var ErrMemberGone = errors.New("chatroom: member gone")

// ErrKicked is the reason with which a member leaves after [Member.Kick]. The error also
// wraps the reason that was given to Kick.
var ErrKicked = errors.New("chatroom: kicked")

// A Member is a handle on one connection in a room, with what was known of it when it
// joined. A program may keep it: once the member has left, the handle keeps no connection
// and no buffer alive. All methods are safe for concurrent use, and hooks may call them.
// The zero Member is one that has left.
type Member struct {
	ID         uint64    // unique in the server's life, ascending in the order of joining
	Name       string    // unique in the room only with [WithUniqueNames]
	RemoteAddr net.Addr  // as its connection reports it
	JoinedAt   time.Time // when the room listed it
	Value      any       // as a [WithAdmit] hook has set it

	ref *memberRef
}

// A memberRef is what all handles on a member share.
type memberRef struct {
	// Fixed after construction.
	server *Server
	room   string

	session atomic.Pointer[session] // nil once the member is off the list
}

func (m Member) session() *session {
	if m.ref == nil {
		return nil
	}
	return m.ref.session.Load()
}

// Room returns the room that the member is or was in.
func (m Member) Room() Room {
	if m.ref == nil {
		return Room{}
	}
	return Room{m.ref.server, m.ref.room}
}

// Send sends body to this member alone, as a message from somebody called from, who need
// not be a member. The message takes its place in the room's order. Send blocks while
// publishing waits for slower members of the room. When ctx ends first, Send sends
// nothing and returns ctx.Err(). It keeps no part of body. It returns [ErrMemberGone] if
// the member has left, [ErrFrameTooLarge] if from or body is longer than [WithMaxMessage]
// allows, and [ErrServerClosed] when the server is ending.
func (m Member) Send(ctx context.Context, from string, body []byte) error {
	sess := m.session()
	if sess == nil {
		return ErrMemberGone
	}
	if err := m.ref.server.checkMessage(ctx, from, body); err != nil {
		return err
	}
	var short [128]byte // so that a short name needs no allocation
	err := sess.room.sendTo(ctx, &sess.seat, AppendFrame(short[:0], []byte(from)), body)
	if err == errRoomGone {
		err = ErrMemberGone
	}
	return err
}

// Kick throws the member out. It does not wait, and does nothing if the member has left.
// When Kick returns, the room no longer lists the member and publishes nothing more from
// it, but what an [Order] has taken before. The member is still written what it was owed until then, for up to 5 s, and then
// its connection is closed. Leave hooks get a reason that matches [ErrKicked] and reason,
// which may be nil.
func (m Member) Kick(reason error) {
	sess := m.session()
	if sess == nil {
		return
	}
	if reason == nil {
		sess.kick(ErrKicked)
	} else {
		sess.kick(fmt.Errorf("%w: %w", ErrKicked, reason))
	}
}

// A Room is a handle on a room of a server, by its name. A program may keep it, whether
// or not the room exists: the room "" always does, any other while somebody is in it, and
// with [WithHistory] a minute longer. The zero Room is one that never exists. All methods are safe for concurrent use, and hooks may call them. Two
// handles are equal if they are handles on the same room.
type Room struct {
	server *Server
	name   string
}

// Name returns the room's name. A connection joins the room "" unless a [WithAdmit] hook
// chooses another.
func (r Room) Name() string { return r.name }

// Server returns the server of the room. It is nil for the zero Room.
func (r Room) Server() *Server { return r.server }

// Broadcast sends body to every member of the room except those in except, as a message
// from somebody called from, who need not be a member. The name rule does not apply to
// from. Broadcast blocks while publishing waits for slower members of the room. When ctx
// ends first, Broadcast publishes nothing and returns ctx.Err(). It keeps no part of
// body. If the room does not exist, nobody receives body, but with [WithHistory] those
// who join within a minute do. A member in except takes memory for as long as the room
// keeps the message: it is for a few. It returns [ErrFrameTooLarge] if from or body is longer
// than [WithMaxMessage] allows, and [ErrServerClosed] when the server is ending. With
// [WithOrder] it blocks while the order takes no more, and returns the order's errors.
func (r Room) Broadcast(ctx context.Context, from string, body []byte, except ...Member) error {
	if r.server == nil {
		return nil
	}
	if err := r.server.checkMessage(ctx, from, body); err != nil {
		return err
	}
	var short [128]byte // so that a short name needs no allocation
	prefix := AppendFrame(short[:0], []byte(from))
	if r.server.cfg.order != nil {
		return r.server.submitBroadcast(ctx, Batch{Room: r.name}, prefix, body, except)
	}
	for {
		live := r.server.findRoom(r.name, true)
		switch {
		case live == nil && r.server.isClosing():
			return ErrServerClosed
		case live == nil:
			return nil
		}
		if err := live.broadcast(ctx, prefix, body, except); err != errRoomGone {
			r.server.measureEmpty(live)
			return err
		}
	}
}

// Members returns the current members, in the order in which they joined. The slice
// belongs to the caller.
func (r Room) Members() []Member {
	all := []Member{}
	if live := r.live(); live != nil {
		all = live.list(all)
	}
	return all
}

func (r Room) live() *room {
	if r.server == nil {
		return nil
	}
	return r.server.findRoom(r.name, false)
}

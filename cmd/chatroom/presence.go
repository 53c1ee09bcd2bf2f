package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"example.com/chatroom"
)

// noticeFrom is from whom the server of the program's own room sends notices to
// the host. Nobody else can have that name there.
const noticeFrom = "\x00"

// A presence tells the host who comes and goes, and nobody else. It does so in
// the room's order: nobody says anything before they have joined.
type presence struct {
	host atomic.Pointer[chatroom.Member] // the first member; nil before
}

// options returns what makes a server tell p.
func (p *presence) options() []chatroom.ServerOption {
	return []chatroom.ServerOption{chatroom.WithOnJoin(p.join), chatroom.WithOnLeave(p.leave)}
}

// join is a join hook.
func (p *presence) join(ctx context.Context, m chatroom.Member) {
	if !p.host.CompareAndSwap(nil, &m) {
		p.tell(ctx, "%s has joined%s", visibleName(m.Name), inRoom(m))
	}
}

// leave is a leave hook. At the end of the room nobody leaves of their own.
func (p *presence) leave(ctx context.Context, m chatroom.Member, reason error) {
	switch {
	case errors.Is(reason, chatroom.ErrServerClosed):
	case reason == nil:
		p.tell(ctx, "%s has left%s", visibleName(m.Name), inRoom(m))
	default:
		p.tell(ctx, "%s is gone%s: %s", visibleName(m.Name), inRoom(m), plain(reason))
	}
}

func (p *presence) tell(ctx context.Context, format string, args ...any) {
	_ = p.host.Load().Send(ctx, noticeFrom, fmt.Appendf(nil, format, args...)) // it fails at the end of the room
}

// inRoom says in which room m is or was, unless it is the one without a name.
func inRoom(m chatroom.Member) string {
	if room := m.Room().Name(); room != "" {
		return fmt.Sprintf(" (room %s)", visibleName(room))
	}
	return ""
}

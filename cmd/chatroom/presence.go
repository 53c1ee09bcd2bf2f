package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"example.com/chatroom"
)

// A presence tells the host who comes and goes. Nobody else is told.
type presence struct {
	w   io.Writer     // takes a line in each Write, and never blocks
	own atomic.Uint64 // the host's own ID as a member; 0 until there is one
}

// options returns what makes a server tell p.
func (p *presence) options() []chatroom.ServerOption {
	return []chatroom.ServerOption{chatroom.WithOnJoin(p.join), chatroom.WithOnLeave(p.leave)}
}

// join is a join hook. The first member is the host.
func (p *presence) join(_ context.Context, m chatroom.Member) {
	if !p.own.CompareAndSwap(0, m.ID) {
		fmt.Fprintf(p.w, "%s has joined%s\n", visibleName(m.Name), inRoom(m))
	}
}

// leave is a leave hook. At the end of the room nobody leaves of their own.
func (p *presence) leave(_ context.Context, m chatroom.Member, reason error) {
	switch {
	case m.ID == p.own.Load() || errors.Is(reason, chatroom.ErrServerClosed):
	case reason == nil:
		fmt.Fprintf(p.w, "%s has left%s\n", visibleName(m.Name), inRoom(m))
	default:
		fmt.Fprintf(p.w, "%s is gone%s: %s\n", visibleName(m.Name), inRoom(m), plain(reason))
	}
}

// inRoom says in which room m is or was, unless it is the one without a name.
func inRoom(m chatroom.Member) string {
	if room := m.Room().Name(); room != "" {
		return fmt.Sprintf(" (room %s)", visibleName(room))
	}
	return ""
}

package chatroom

import (
	"errors"
	"os"
	"time"
)

// Stats holds figures of a [Server] at one moment. All counts start with the server.
type Stats struct {
	RoomStats // sums over all rooms, those that no longer exist included

	Rooms       int      // that exist now
	Connections int      // open now, those that have not been let in yet included
	Accepted    uint64   // connections
	Refusals    Refusals // connections that ended before they became members
}

// RoomStats holds figures of a [Room] at one moment. All counts start when the room is
// made; those in [Stats] start with the server.
type RoomStats struct {
	Members int    // now
	Joins   uint64 // members that have joined
	Leaves  Leaves // members that have left; each counts before its leave hooks run

	Messages uint64 // published, by members and the program; with WithOrder, by those of all servers
	Bytes    uint64 // of these messages, with names and headers, as one member receives them
	Dropped  uint64 // messages that message hooks dropped with ErrDrop

	Deliveries   uint64 // messages published, each times the members that it is for, and history to newcomers
	BytesWritten uint64 // to the members' connections, with names and headers; counted a moment after the write
	Backlog      int64  // bytes by which the slowest member is behind now

	Holds    uint64        // times that publishing had to wait for members to catch up
	HoldTime time.Duration // the length of all holds together, up to now
	Held     bool          // publishing has to wait now
}

// Leaves counts members that have left, by the reason that [WithOnLeave] hooks get. A
// reason that matches several counts once, as the first of them.
type Leaves struct {
	ServerClosed uint64 // ErrServerClosed
	Kicked       uint64 // ErrKicked
	SlowConsumer uint64 // ErrSlowConsumer
	Hook         uint64 // a hook failed, or a message hook returned an error
	Unavailable  uint64 // ErrUnavailable; only with WithOrder
	Timeout      uint64 // idle, or a frame unfinished, for too long
	Protocol     uint64 // ErrBadHeader, ErrFrameTooLarge
	Goodbye      uint64 // nil, a clean goodbye
	Lost         uint64 // any other: the connection failed or ended within a frame, the context of ServeConn ended, or Disconnect gave the reason
}

// Total returns the sum.
func (l Leaves) Total() uint64 {
	return l.ServerClosed + l.Kicked + l.SlowConsumer + l.Hook + l.Unavailable + l.Timeout + l.Protocol + l.Goodbye + l.Lost
}

// add counts a member that has left for reason. byHook is whether a message hook gave
// the reason.
func (l *Leaves) add(reason error, byHook bool) {
	switch {
	case errors.Is(reason, ErrServerClosed):
		l.ServerClosed++
	case errors.Is(reason, ErrKicked):
		l.Kicked++
	case errors.Is(reason, ErrSlowConsumer):
		l.SlowConsumer++
	case byHook || errors.Is(reason, ErrHookFailed):
		l.Hook++
	case errors.Is(reason, ErrUnavailable):
		l.Unavailable++
	case errors.Is(reason, os.ErrDeadlineExceeded):
		l.Timeout++
	case errors.Is(reason, ErrBadHeader) || errors.Is(reason, ErrFrameTooLarge):
		l.Protocol++
	case reason == nil:
		l.Goodbye++
	default:
		l.Lost++
	}
}

func (l *Leaves) addAll(other Leaves) {
	l.ServerClosed += other.ServerClosed
	l.Kicked += other.Kicked
	l.SlowConsumer += other.SlowConsumer
	l.Hook += other.Hook
	l.Unavailable += other.Unavailable
	l.Timeout += other.Timeout
	l.Protocol += other.Protocol
	l.Goodbye += other.Goodbye
	l.Lost += other.Lost
}

// Refusals counts connections that ended before they became members, by the reason. A
// reason that matches several counts once, as the first of them.
type Refusals struct {
	ServerClosed uint64 // ErrServerClosed
	ServerFull   uint64 // ErrServerFull
	NameTaken    uint64 // ErrNameTaken
	RoomFull     uint64 // ErrRoomFull
	NameRejected uint64 // ErrNameRejected
	Hook         uint64 // an admit hook returned an error, or a hook or the name rule failed
	Timeout      uint64 // no whole name within the handshake timeout
	Protocol     uint64 // ErrBadHeader, ErrFrameTooLarge
	Lost         uint64 // any other: the connection failed or ended, or the context of ServeConn ended
}

// Total returns the sum.
func (r Refusals) Total() uint64 {
	return r.ServerClosed + r.ServerFull + r.NameTaken + r.RoomFull + r.NameRejected + r.Hook + r.Timeout + r.Protocol + r.Lost
}

// add counts a connection that was refused for reason. byHook is whether an admit hook
// gave the reason.
func (r *Refusals) add(reason error, byHook bool) {
	switch {
	case errors.Is(reason, ErrServerClosed):
		r.ServerClosed++
	case errors.Is(reason, ErrServerFull):
		r.ServerFull++
	case errors.Is(reason, ErrNameTaken):
		r.NameTaken++
	case errors.Is(reason, ErrRoomFull):
		r.RoomFull++
	case errors.Is(reason, ErrNameRejected):
		r.NameRejected++
	case byHook || errors.Is(reason, ErrHookFailed):
		r.Hook++
	case errors.Is(reason, os.ErrDeadlineExceeded):
		r.Timeout++
	case errors.Is(reason, ErrBadHeader) || errors.Is(reason, ErrFrameTooLarge):
		r.Protocol++
	default:
		r.Lost++
	}
}

func (r *Refusals) addAll(other Refusals) {
	r.ServerClosed += other.ServerClosed
	r.ServerFull += other.ServerFull
	r.NameTaken += other.NameTaken
	r.RoomFull += other.RoomFull
	r.NameRejected += other.NameRejected
	r.Hook += other.Hook
	r.Timeout += other.Timeout
	r.Protocol += other.Protocol
	r.Lost += other.Lost
}

// Stats returns the current figures. It visits every member, which takes about 10 ns
// for each.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		RoomStats:   s.past,
		Rooms:       len(s.rooms),
		Connections: len(s.sessions),
		Accepted:    s.accepted,
		Refusals:    s.refusals,
	}
	for _, r := range s.rooms {
		r.addStats(&st.RoomStats)
	}
	st.BytesWritten = s.written.Load() // a write may end when its room is gone
	return st
}

// countRefusal counts a connection that was refused for reason.
func (s *Server) countRefusal(reason error, byHook bool) {
	var one Refusals
	one.add(reason, byHook) // before the lock, since the program's errors have methods of their own
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals.addAll(one)
}

// countLeave counts a member that has left r for reason, and forgets r if nobody is in
// it.
func (s *Server) countLeave(r *room, reason error, byHook bool) {
	var one Leaves
	one.add(reason, byHook) // before the lock, since the program's errors have methods of their own
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms[r.name] != r {
		s.past.Leaves.addAll(one)
		return
	}
	r.countLeave(one)
	s.forgetIfIdleLocked(r)
}

// Stats returns the current figures. It visits every member of the room, which takes
// about 10 ns for each.
func (r Room) Stats() RoomStats {
	var st RoomStats
	if live := r.live(); live != nil {
		live.addStats(&st)
	}
	return st
}

// roomCounts are a room's part of Stats.
type roomCounts struct {
	joins, messages, bytes, dropped, deliveries, holds uint64

	leaves   Leaves
	holdTime time.Duration // without the current hold
}

func (r *room) countLeave(one Leaves) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.leaves.addAll(one)
}

// countWritten counts n bytes written to members.
func (r *room) countWritten(n int) {
	r.written.Add(uint64(n))
	r.total.Add(uint64(n))
}

// countDropped counts a message of m's that a hook has dropped, if m is listed: nothing
// of anybody else would have been published.
func (r *room) countDropped(m *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.elem != nil {
		r.counts.dropped++
	}
}

// addStats adds the room's figures to st.
func (r *room) addStats(st *RoomStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Members += r.members.Len()
	st.Joins += r.counts.joins
	st.Leaves.addAll(r.counts.leaves)
	st.Messages += r.counts.messages
	st.Bytes += r.counts.bytes
	st.Dropped += r.counts.dropped
	st.Deliveries += r.counts.deliveries
	st.BytesWritten += r.written.Load()
	st.Holds += r.counts.holds
	st.Held = st.Held || r.held
	st.HoldTime += r.counts.holdTime
	if r.held {
		st.HoldTime += time.Since(r.heldAt)
	}
	for e := r.members.Front(); e != nil; e = e.Next() {
		st.Backlog = max(st.Backlog, r.log.End()-r.posLocked(e.Value.(*seat)))
	}
}

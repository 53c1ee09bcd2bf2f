package chatroom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// ErrUnavailable is what a server's [Order] returns while it takes no messages, and matches
// the reason with which a member leaves whose messages it has not taken.
var ErrUnavailable = errors.New("chatroom: order unavailable")

// A Batch is messages of one sender on their way into an order that servers share.
type Batch struct {
	// Room is the name of the room that the messages are for, unless they are for All.
	Room string
	All  bool

	// Sender is the [Member.ID] of the sender on the server that submits, or 0 for the
	// program. Except are the ids of others there whom the messages are not for, ascending.
	Sender uint64
	Except []uint64

	// Frames has two frames for each message: its sender's name, and its text. A server
	// submits at most 16 messages at a time.
	Frames []byte
}

// An Order decides in which sequence the servers that share it pass messages on. A server
// with an order submits what its members and its program say, and publishes what the order
// gives to [Server.Deliver]: on every server that shares the order, that which submitted it
// included. Each server has an Order of its own, by which the order knows the server.
//
// All methods must be safe for concurrent use. The server holds no lock while it calls
// them, so they may wait, and may call the server.
//
// If an order also has an Admit method like a [WithAdmit] hook, the server asks it before the
// hooks. So an order that takes nothing can refuse who would join meanwhile.
type Order interface {
	// Attach tells the order its server. [NewServer] calls it once. The order may call
	// Deliver from then on.
	Attach(s *Server)

	// Submit puts b into the order, and keeps nothing of it. When it returns nil, b is on
	// its way: it is delivered, also if its sender leaves, or its loss is reported. Batches
	// that one goroutine submits stay in sequence. Submit waits while the order takes no
	// more, unless ctx ends, which that of a member does when the server disconnects it.
	// Submit may deliver b itself.
	//
	// If the order takes nothing, the error must match [ErrUnavailable]. Any error means
	// that b is not published: it disconnects the member that sent b, or is what Broadcast
	// returns.
	Submit(ctx context.Context, b Batch) error

	// Settle waits until all that was submitted before the call has been delivered to this
	// server, or its loss been reported, unless ctx ends.
	Settle(ctx context.Context) error
}

// WithOrder has o decide the sequence of messages, which servers may share. What members
// and the program say is published, and counted, when o delivers it.
//
// What is promised of a room then holds over all servers, with these differences:
//
//   - A member receives what comes in the sequence after the point at which its own server
//     has listed it.
//   - What a member had submitted when it left, or was kicked, is still published. If it
//     connects again meanwhile, it may receive that.
//   - [Member.Send] goes past o. Its text may overtake what was submitted before.
//   - [Room.Broadcast] and [Server.Broadcast] return when o has taken the message, which
//     reaches the members of every server.
//   - If o does not take a message, its sender is disconnected with [ErrUnavailable].
//   - A message that waits for o is held twice.
//
// Everything else is each server's own: hooks, which run where a member is, before its
// message is submitted; members, names, limits, histories, kicks. So is the pace, but while
// one server's room waits for slow members, o waits there: see [Server.Deliver].
//
// The default, and nil, is none: the server decides.
func WithOrder(o Order) ServerOption {
	return serverOption(func(c *serverConfig) { c.order = o })
}

// maxBatchBuffer is how large the buffers in batchBuffers are at most, in bytes.
const maxBatchBuffer = 128 << 10

// batchBuffers holds *[]byte.
var batchBuffers = sync.Pool{New: func() any { return new([]byte) }}

// submit gives the order b with messages, each behind prefix. It keeps none of the slices.
func (s *Server) submit(ctx context.Context, b Batch, prefix []byte, messages ...[]byte) error {
	buf := batchBuffers.Get().(*[]byte)
	b.Frames = (*buf)[:0]
	for _, body := range messages {
		b.Frames = AppendFrame(append(b.Frames, prefix...), body)
	}
	if cap(b.Frames) <= maxBatchBuffer {
		*buf = b.Frames
		defer batchBuffers.Put(buf)
	}
	return s.cfg.order.Submit(ctx, b)
}

// submitBroadcast submits a message of the program's for everyone but some. What has not been
// taken when the server's end begins is not submitted, or it could come back too late.
func (s *Server) submitBroadcast(ctx context.Context, b Batch, prefix, body []byte, except []Member) error {
	if err := s.unlessClosing(func() { s.submitting.Add(1) }); err != nil {
		return err
	}
	defer s.submitting.Done()
	for _, m := range except {
		if m.session() != nil && m.ref.server == s && (b.All || m.ref.room == b.Room) {
			b.Except = append(b.Except, m.ID)
		}
	}
	slices.Sort(b.Except)
	b.Except = slices.Compact(b.Except)
	open, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.hookCtx, cancel)()
	err := s.submit(open, b, prefix, body)
	if err != nil && open.Err() != nil && ctx.Err() == nil {
		return ErrServerClosed
	}
	return err
}

// submits is the context of what a member submits, and what ends it.
type submits struct {
	ctx context.Context
	end context.CancelFunc
}

// submit submits the member's messages, each behind prefix. It keeps none of the slices.
// It fails once the server has disconnected the member.
func (s *session) submit(prefix []byte, messages [][]byte) error {
	ctx := s.submitContext()
	if ctx.Err() != nil {
		return errNotMember // it was disconnected, and the session knows why
	}
	err := s.srv.submit(ctx, Batch{Room: s.room.name, Sender: s.ID}, prefix, messages...)
	switch {
	case err == nil || errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, ErrServerClosed) && s.srv.isClosing():
		return ErrServerClosed
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// submitContext returns the context of what the member submits. It ends when this end
// disconnects the member. Unlike that of hooks it outlasts the beginning of the server's
// end, since what was read is still published.
func (s *session) submitContext() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.submits == nil {
		ctx, end := context.WithCancel(s.withValues(context.Background()))
		if s.submits = (&submits{ctx, end}); s.state >= sessionKicked {
			end()
		}
	}
	return s.submits.ctx
}

package chatroom

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrUnavailable is why a message is not published while the server's [Order] takes none.
var ErrUnavailable = errors.New("chatroom: order unavailable")

// A Batch is messages of one sender on their way into an order that servers share.
type Batch struct {
	// Room is the name of the room that the messages are for, and All whether they are
	// for every room instead.
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
// with an order submits what its members and its program publish, and publishes what the
// order gives to [Server.Deliver]: on every server that shares the order, that which submitted
// it included. All methods must be safe for concurrent use. The server calls them without
// a lock, so they may wait, and may call the server.
type Order interface {
	// Attach tells the order its server. NewServer calls it once; the order may call
	// Deliver from then on.
	Attach(s *Server)

	// Submit puts b into the order, and keeps nothing of it. When it returns nil, b is on
	// its way: it will be delivered, or its loss be reported. Batches that one goroutine
	// submits stay in sequence. Submit waits while the order takes no more, unless ctx
	// ends. It may deliver b itself. Its error disconnects the member whose messages they
	// are, with that as the reason, or is what Broadcast returns. It must match
	// ErrUnavailable if the order takes nothing. After an error, b should be delivered
	// nowhere.
	Submit(ctx context.Context, b Batch) error

	// Settle waits until all that was submitted before it has been delivered to this
	// server, or its loss been reported, unless ctx ends.
	Settle(ctx context.Context) error
}

// WithOrder has o decide the sequence of messages, which several servers may share. What
// members and the program say is then published when o delivers it.
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

// submitBroadcast submits a message of the program's for everyone but some.
func (s *Server) submitBroadcast(ctx context.Context, b Batch, prefix, body []byte, except []Member) error {
	if s.isClosing() {
		return ErrServerClosed
	}
	for _, m := range except {
		if m.session() != nil && m.ref.server == s && (b.All || m.ref.room == b.Room) {
			b.Except = append(b.Except, m.ID)
		}
	}
	slices.Sort(b.Except)
	b.Except = slices.Compact(b.Except)
	return s.submit(ctx, b, prefix, body)
}

// submit submits the member's messages, each behind prefix. It keeps none of the slices.
// It fails once the server has disconnected the member.
func (s *session) submit(prefix []byte, messages [][]byte) error {
	ctx := s.submitContext()
	if ctx.Err() != nil {
		return errNotMember // it was disconnected, and the session knows why
	}
	err := s.srv.submit(ctx, Batch{Room: s.room.name, Sender: s.ID}, prefix, messages...)
	if errors.Is(err, ErrServerClosed) && s.srv.isClosing() {
		return ErrServerClosed
	}
	return err
}

// submitContext returns the context of what the member submits. It ends when this end
// disconnects the member. Unlike that of hooks it outlasts the beginning of the server's
// end, since what was read is still published.
func (s *session) submitContext() context.Context {
	if s.submitCtx == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.submitCtx, s.endSubmits = context.WithCancel(s.withValues(context.Background()))
		if s.state >= sessionKicked {
			s.endSubmits()
		}
	}
	return s.submitCtx
}

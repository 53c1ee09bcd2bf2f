package chatroom

import (
	"context"
	"errors"
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

	// Frames has two frames for each message: its sender's name, and its text.
	Frames []byte
}

// An Order decides in which sequence the servers that share it pass messages on. A server
// with an order submits what its members and its program publish, and publishes what the
// order gives to [Server.Deliver]: on every server that shares the order, that which submitted
// it included. All methods must be safe for concurrent use.
type Order interface {
	// Attach tells the order its server. NewServer calls it once; the order may call
	// Deliver from then on.
	Attach(s *Server)

	// Submit puts b into the order, and keeps nothing of it. When it returns nil, b is on
	// its way: it will be delivered, or its loss be reported. Batches that one goroutine
	// submits stay in sequence. Submit waits while the order takes no more, unless ctx ends.
	// It returns an error that matches ErrUnavailable if the order takes nothing, and then b
	// is delivered nowhere.
	Submit(ctx context.Context, b Batch) error

	// Settle waits until all that was submitted before it has been delivered to this
	// server, or its loss been reported, unless ctx ends.
	Settle(ctx context.Context) error
}

// WithOrder has o decide the sequence of messages, which several servers may share.
func WithOrder(o Order) ServerOption {
	return serverOption(func(c *serverConfig) {})
}

// Deliver publishes batches in the order given. Own tells that this server has submitted
// them: then they are not for their sender, nor for those in Except. Deliver blocks while
// publishing waits for slower members of a batch's room. When ctx ends first, it returns
// ctx.Err(), and the batches that it has not published are to be delivered again. ...
func (s *Server) Deliver(ctx context.Context, own bool, batches ...Batch) error { return nil }

// Disconnect disconnects all members with the reason. Others may join meanwhile and after it.
func (s *Server) Disconnect(reason error) {}

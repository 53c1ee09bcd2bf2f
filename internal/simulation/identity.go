package simulation

import (
	"context"

	"example.com/chatroom"
)

// An identity is an order of one server's own. It delivers what is submitted while Submit
// runs, so all that is promised without an order holds with it.
type identity struct{ server *chatroom.Server }

var _ chatroom.Order = (*identity)(nil)

func (o *identity) Attach(s *chatroom.Server) { o.server = s }

func (o *identity) Submit(ctx context.Context, b chatroom.Batch) error {
	return o.server.Deliver(ctx, true, b)
}

func (o *identity) Settle(context.Context) error { return nil }

package chatroom_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// An identityOrder delivers what is submitted while Submit runs, to the server that
// submits.
type identityOrder struct{ server *chatroom.Server }

func (o *identityOrder) Attach(s *chatroom.Server) { o.server = s }

func (o *identityOrder) Submit(ctx context.Context, b chatroom.Batch) error {
	return o.server.Deliver(ctx, true, b)
}

func (o *identityOrder) Settle(context.Context) error { return nil }

// Nobody receives what is theirs, whichever way it takes.
func TestOrderExcludes(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t, chatroom.WithOrder(new(identityOrder)))
		alice, bob, carol := s.Join("alice"), s.Join("bob"), s.Join("carol")
		alice.Send("hello")
		bob.Want("alice", "hello")
		carol.Want("alice", "hello")
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("not for bob"), bob.Member))
		alice.Want("host", "not for bob")
		carol.Want("host", "not for bob")
		bob.WantQuiet(quiet)
	})
}

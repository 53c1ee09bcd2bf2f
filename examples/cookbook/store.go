package cookbook

import (
	"context"

	"example.com/chatroom"
)

// A Store keeps what was said: a database of the program's.
type Store interface {
	Save(ctx context.Context, room string, m chatroom.Message) error // must copy the body
	Last(ctx context.Context, room string, n int) ([]chatroom.Message, error)
}

// Keep saves each message before it is published. One that cannot be saved is not.
func Keep(store Store) chatroom.ServerOption {
	return chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
		return store.Save(ctx, m.Room().Name(), *msg)
	})
}

// Seed tells the rooms what was said in them before: call it before Serve.
func Seed(ctx context.Context, s *chatroom.Server, store Store, n int, rooms ...string) error {
	for _, room := range rooms {
		last, err := store.Last(ctx, room, n)
		if err != nil {
			return err
		}
		for _, m := range last {
			if err := s.Room(room).Broadcast(ctx, m.From, m.Body); err != nil {
				return err
			}
		}
	}
	return nil
}

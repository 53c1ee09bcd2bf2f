package cookbook

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"example.com/chatroom"
)

// Bot joins a room as name, and says what answer returns for each message, unless that
// is nil. It blocks until it is out of the room, or was never let in, and returns why.
func Bot(ctx context.Context, s *chatroom.Server, name string, answer func(m chatroom.Message) []byte) error {
	ours, theirs := net.Pipe()
	out := make(chan error, 1)
	go func() { out <- s.ServeConn(ctx, theirs) }() // ends with ours
	c, err := chatroom.NewConn(ctx, ours, name)
	if err != nil {
		return err
	}
	defer c.Close()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if text := answer(m); text != nil {
			if err := c.Send(ctx, text); err != nil {
				return err
			}
		}
	}
	return <-out // ErrServerClosed, ErrKicked, ErrNameTaken and so on
}

// Bridge passes on what is said in the room of a to the room of b, and back. It blocks
// until one of them or ctx ends. Nobody else may use them.
func Bridge(ctx context.Context, a, b *chatroom.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var both sync.WaitGroup
	both.Go(func() { cancel(pass(ctx, a, b)) })
	both.Go(func() { cancel(pass(ctx, b, a)) })
	both.Wait()
	return context.Cause(ctx)
}

func pass(ctx context.Context, from, to *chatroom.Conn) error {
	for m, err := range from.Messages(ctx) {
		if err != nil {
			return err
		}
		err := to.Send(ctx, append([]byte(m.From+": "), m.Body...))
		if err != nil && !errors.Is(err, chatroom.ErrFrameTooLarge) { // the name may have made it so
			return err
		}
	}
	return io.EOF
}

// Twin passes on what the members of a room say to its twin on the same server, under
// their own names.
func Twin(twins map[string]string) chatroom.ServerOption {
	return chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
		if other, ok := twins[m.Room().Name()]; ok {
			return m.Room().Server().Room(other).Broadcast(ctx, msg.From, msg.Body)
		}
		return nil
	})
}

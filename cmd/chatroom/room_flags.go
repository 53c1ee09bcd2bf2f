package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"example.com/chatroom"
)

// hostName is the name of who greets.
const hostName = "host"

// roomFlags are the flags that say how the server's rooms are.
type roomFlags struct {
	rooms    bool
	history  int
	unique   bool
	most     int
	greeting string
	rate     rateLimit
}

func (f *roomFlags) register(fs *flag.FlagSet) {
	fs.BoolVar(&f.rooms, "rooms", false, "")
	fs.IntVar(&f.history, "history", 0, "")
	fs.BoolVar(&f.unique, "unique", false, "")
	fs.IntVar(&f.most, "max", 0, "")
	fs.StringVar(&f.greeting, "greeting", "", "")
	fs.Func("rate", "", f.rate.set)
}

// check checks what the flags' own types do not.
func (f *roomFlags) check() error {
	switch {
	case f.history < 0:
		return fmt.Errorf("-history %d: want 0, for none, or more", f.history)
	case f.most < 0:
		return fmt.Errorf("-max %d: want 0, for no limit, or more", f.most)
	case len(f.greeting) > maxLine:
		return fmt.Errorf("-greeting: %w", errLineTooLong)
	}
	return nil
}

// reserveHost is an admit hook. It lets nobody in by the name of who greets.
func reserveHost(_ context.Context, j *chatroom.Join) error {
	if strings.EqualFold(j.Name, hostName) {
		return fmt.Errorf("%w: %q greets", chatroom.ErrNameRejected, hostName)
	}
	return nil
}

// options returns what makes a server as the flags say.
func (f *roomFlags) options() []chatroom.ServerOption {
	opts := []chatroom.ServerOption{
		chatroom.WithHistory(f.history),
		chatroom.WithMaxMembers(f.most),
	}
	if f.rooms {
		opts = append(opts, chatroom.WithAdmit(admitToRoom))
	}
	if f.unique {
		opts = append(opts, chatroom.WithUniqueNames())
	}
	if f.greeting != "" {
		opts = append(opts, chatroom.WithAdmit(reserveHost), chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
			_ = m.Send(ctx, hostName, []byte(f.greeting)) // it fails only for who has left already
		}))
	}
	return append(opts, f.rate.options()...)
}

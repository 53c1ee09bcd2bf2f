package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"example.com/chatroom"
)

// host hosts a room and joins it, until its user leaves.
func (p *program) host(ctx, now context.Context, args []string) error {
	fs := newFlags("")
	var where listenFlags
	where.register(fs)
	name := fs.String("name", "", "")
	follow := fs.Bool("follow", false, "")
	var room roomFlag
	fs.Func("room", "", room.set)
	fs.BoolFunc("reconnect", "", func(string) error {
		return errors.New("it is for chatroom join; the host's own connection ends with the room")
	})
	fs.Func("cluster", "", func(string) error {
		return errors.New("it is for chatroom serve; a room that servers share does not close when its host leaves")
	})
	if _, err := parseFlags(fs, args, 0); err != nil {
		return err
	}
	if err := where.check(); err != nil {
		return &usageError{fs.Name(), err}
	}
	var err error
	if *name, err = userName(fs, *name); err != nil {
		return err
	}
	ls, web, err := where.listen(ctx)
	if err != nil {
		return err
	}

	front := p.newFront(*name, *follow, nil)
	level := new(slog.LevelVar)
	level.Set(slog.LevelError) // joinOwn returns whatever else is wrong
	joined := make(chan struct{})
	join := sync.OnceFunc(func() { close(joined) })
	log := startLog(front)
	defer log.end()
	logger := newLogger(log, level)
	opts := []chatroom.ServerOption{
		chatroom.WithLogger(logger),
		chatroom.WithOnJoin(func(context.Context, chatroom.Member) { join() }),
	}
	if room.given {
		opts = append(opts, chatroom.WithAdmit(admitToRoom))
	}
	if front.isTerminal() {
		opts = append(opts, new(presence).options()...)
	}
	srv := chatroom.NewServer(opts...)
	conn, err := joinOwn(ctx, srv, room.ask(*name), joined)
	if err != nil {
		closeAll(append(ls, web)...)
		return unlessLeft(ctx, err)
	}

	// Of the log, only what is wrong belongs between the messages.
	level.Set(slog.LevelWarn)
	what := "the room"
	if room.name != "" {
		what += " " + visibleName(room.name)
	}
	var greeting []string
	for _, l := range ls {
		greeting = append(greeting, fmt.Sprintf("%s is open at %v", what, l.Addr()))
	}
	site := where.web.serve(web, srv, room.given, logger)
	if site != nil {
		defer site.stop()
		greeting = append(greeting, fmt.Sprintf("%s is open to browsers at %s", what, site.url))
	}
	ended := serveAll(srv, ls)
	logged := make(chan struct{})
	go logFailures(logger, ended, len(ls), logged)
	chatErr := front.run(ctx, conn, greeting...)
	err = shutdown(now, srv)
	<-logged
	if chatErr != nil {
		return chatErr
	}
	return err
}

// logFailures logs why each of n listeners ended, unless it ended with the
// server. Members who are in the room may go on without it. logFailures runs
// until all listeners have ended, and then closes logged.
func logFailures(logger *slog.Logger, ended <-chan error, n int, logged chan<- struct{}) {
	defer close(logged)
	for range n {
		if err := <-ended; !errors.Is(err, chatroom.ErrServerClosed) {
			logger.Error("nobody joins any more", "error", err)
		}
	}
}

// joinOwn joins the room of srv, which has no members yet, so that the host
// misses nothing. A join hook has to close joined when srv has its first
// member. The host's connection is in memory, so that no trouble with networks,
// certificates or sockets can keep the host out.
func joinOwn(ctx context.Context, srv *chatroom.Server, name string, joined <-chan struct{}) (*chatroom.Conn, error) {
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- srv.ServeConn(context.Background(), theirs) }() // ends with the Conn, or srv
	conn, err := chatroom.NewConn(ctx, ours, name)
	if err != nil {
		return nil, err
	}
	select {
	case <-joined:
		return conn, nil
	case err := <-served:
		_ = conn.Close() // srv has closed its end
		return nil, err
	}
}

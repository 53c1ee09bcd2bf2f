package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/term"

	"example.com/chatroom"
)

var (
	errRoomClosed = errors.New("the server has closed the room")

	// errEarlyEnd is how a refused name looks, because the protocol has no
	// answer to a name.
	errEarlyEnd = errors.New("the server has closed the room at once; it may have refused the name, or be full")

	// errCutShort is how a server ends that has not read everything, errCutEarly
	// if that may be how a refused name looks.
	errCutShort = errors.New("the server hung up before it had taken everything")
	errCutEarly = fmt.Errorf("%w; it may have refused the name, or be full", errCutShort)
)

// A front is how the user meets the room: a screen, or lines in and out. It
// also takes lines of the log, whole ones in each Write.
type front interface {
	io.Writer

	// run holds the conversation over conn, and closes conn. It returns when
	// the user or the room leaves, or when ctx ends. At a terminal it first
	// shows the greeting. The error says what went wrong; it is nil if the user
	// left.
	run(ctx context.Context, conn *chatroom.Conn, greeting ...string) error

	// notice tells the user something that nobody said.
	notice(text string)

	// isTerminal reports whether somebody reads along, and no program.
	isTerminal() bool
}

// newFront returns a screen if the program reads from and writes to a terminal,
// else lines. The link is nil if the room is the program's own.
func (p *program) newFront(name string, follow bool, link *link) front {
	in, typed := terminalFile(p.stdin)
	out, shown := terminalFile(p.stdout)
	// Editing needs the escape sequences that a dumb terminal does not know.
	if typed && shown && os.Getenv("TERM") != "dumb" {
		return newTTY(in, out, name, link)
	}
	return &lines{
		in:        p.stdin,
		out:       p.stdout,
		log:       p.stderr,
		paint:     newPainter(shown),
		link:      link,
		follow:    follow,
		skipEmpty: typed,
	}
}

// terminalFile returns the file that v is, and whether it is a terminal.
func terminalFile(v any) (*os.File, bool) {
	f, ok := v.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// join joins a room. It returns when its user leaves or the room closes. The
// end of ctx makes the user leave, the end of now does so without a goodbye.
func (p *program) join(ctx, now context.Context, args []string) error {
	fs := newFlags("join")
	name := fs.String("name", "", "")
	follow := fs.Bool("follow", false, "")
	reconnect := fs.Bool("reconnect", false, "")
	caFile := fs.String("ca", "", "")
	serverName := fs.String("servername", "", "")
	var room roomFlag
	fs.Func("room", "", room.set)
	rest, err := parseFlags(fs, args, 1)
	if err != nil {
		return err
	}
	if *name, err = userName(fs, *name); err != nil {
		return err
	}
	rest = append(rest, defaultAddr)
	where, err := parseAddress(rest[0])
	if err != nil {
		return &usageError{fs.Name(), err}
	}
	var config *tls.Config
	switch {
	case where.tls:
		load := func() (*tls.Config, error) { return clientTLS(*caFile, *serverName) }
		if config, err = orLeave(ctx, load); err != nil {
			return err
		}
	case *caFile != "" || *serverName != "":
		return &usageError{fs.Name(), errors.New("-ca and -servername need a tls: address")}
	}

	connect := func(ctx context.Context) (net.Conn, error) { return where.dial(ctx, config) }
	link := &link{connect: connect, again: *reconnect}
	front := p.newFront(*name, *follow, link)
	link.notice = front.notice
	opts := []chatroom.DialOption{chatroom.WithDialer(link.dial)}
	if *reconnect {
		opts = append(opts, chatroom.WithReconnect(nil))
	}
	conn, err := chatroom.Dial(ctx, where.network, where.addr, room.ask(*name), opts...)
	if dialErr := link.dialError(); dialErr != nil {
		err = where.explain(dialErr)
	}
	if err != nil {
		return unlessLeft(ctx, err)
	}
	defer context.AfterFunc(now, link.hangUp)()
	greeting := fmt.Sprintf("at %v as %s; Ctrl-D leaves", where, visibleName(*name))
	if room.name != "" {
		greeting = fmt.Sprintf("in the room %s %s", visibleName(room.name), greeting)
	}
	return front.run(ctx, conn, greeting)
}

// unlessLeft returns err, or errQuiet if err is there because the user gave up.
func unlessLeft(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errQuiet
	}
	return err
}

// hear calls show with each message until the room ends or show returns false.
// The error says why the room ended.
func hear(conn *chatroom.Conn, link *link, notice func(text string), show func(m chatroom.Message) bool) error {
	joined, any := time.Now(), false
	for {
		m, err := conn.Receive(context.Background())
		switch {
		case errors.Is(err, chatroom.ErrReconnected):
			if link.cameBack() {
				notice("connected again, some messages may be missing")
			}
			joined, any = time.Now(), false
			continue
		case err != nil:
			return roomEnd(err, any || time.Since(joined) > verdict)
		}
		any = true
		if !show(m) {
			return nil
		}
	}
}

// roomEnd puts err, with which Receive ended, into words for the user. The
// words depend on whether the user must have been in the room by then.
func roomEnd(err error, in bool) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = errno // without the operation and the addresses
	}
	switch {
	case err == io.EOF && in:
		return errRoomClosed
	case err == io.EOF:
		return errEarlyEnd
	case in || errors.Is(err, net.ErrClosed):
		return fmt.Errorf("the connection to the server broke: %w", err)
	default:
		return fmt.Errorf("the connection to the server broke at once; it may have refused the name, or be full: %w", err)
	}
}

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

	// errEarlyEnd is how a rejected name looks, because the protocol has no
	// answer to a name.
	errEarlyEnd = errors.New("the server closed the connection before any message came (is the name allowed?)")
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
}

// newFront returns a screen if the program reads from and writes to a terminal,
// else lines.
func (p *program) newFront(name string, follow bool) front {
	in, typed := terminalFile(p.stdin)
	out, shown := terminalFile(p.stdout)
	// Editing needs the escape sequences that a dumb terminal does not know.
	if typed && shown && os.Getenv("TERM") != "dumb" {
		return newTTY(in, out, name)
	}
	return &lines{
		in:        p.stdin,
		out:       p.stdout,
		log:       p.stderr,
		paint:     newPainter(shown),
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
	caFile := fs.String("ca", "", "")
	serverName := fs.String("servername", "", "")
	rest, err := parseFlags(fs, args, 1)
	if err != nil {
		return err
	}
	if *name, err = userName(fs.Name(), *name); err != nil {
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

	nc, err := where.dial(ctx, config)
	if err != nil {
		return unlessLeft(ctx, err)
	}
	conn, err := chatroom.NewConn(ctx, nc, *name)
	if err != nil {
		return unlessLeft(ctx, err)
	}
	defer context.AfterFunc(now, func() { hangUp(nc) })()
	greeting := fmt.Sprintf("at %v as %s; Ctrl-D leaves", where, visibleName(*name))
	return p.newFront(*name, *follow).run(ctx, conn, greeting)
}

// hangUp closes nc without a goodbye. It also interrupts a goodbye under way.
func hangUp(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn() // closing secure would say goodbye
	}
	_ = nc.Close() // it fails if nc is closed already
}

// unlessLeft returns err, or errQuiet if err is there because the user gave up.
func unlessLeft(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errQuiet
	}
	return err
}

// verdict is longer than a server takes to reject a name.
const verdict = 5 * time.Second

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
	case in:
		return fmt.Errorf("the connection to the server broke: %w", err)
	default:
		return fmt.Errorf("the connection to the server broke before any message came (is the name allowed?): %w", err)
	}
}

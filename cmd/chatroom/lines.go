package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"example.com/chatroom"
)

// maxLine is the longest line, in bytes, that is sent as a message. Servers
// accept no longer one by default.
const maxLine = chatroom.DefaultMaxMessage

var (
	errLineTooLong = fmt.Errorf("longer than %d bytes", maxLine)

	// errNotSent reports that the connection took no more. The error with which
	// the room ended says why.
	errNotSent = errors.New("message not sent")

	// errSomeLost reports that a connection ended after messages went out, or
	// while one did.
	errSomeLost = errors.New("some lines of the input may not have arrived")
)

// lines is the front for pipes and files: each line read is a message, each
// message is a line written.
type lines struct {
	in        io.Reader
	out, log  io.Writer
	paint     painter
	link      *link // nil if the room is the program's own
	follow    bool  // stay after the end of in
	skipEmpty bool  // empty lines are no messages
}

func (l *lines) Write(record []byte) (int, error) { return l.log.Write(record) }

// notice says something that nobody in the room did.
func (l *lines) notice(text string) { fmt.Fprintf(l.log, "chatroom: %s\n", text) }

func (l *lines) isTerminal() bool { return false }

// run shows no greeting, because programs read what it writes.
func (l *lines) run(ctx context.Context, conn *chatroom.Conn, _ ...string) error {
	defer conn.Close()
	sent := make(chan error, 1)   // by send, once
	ended := make(chan error, 1)  // by write, once
	heard := make(chan struct{})  // closed by receive, at the first message
	silent := make(chan struct{}) // closed by receive, at its end
	go l.send(conn, sent, silent)
	go l.write(conn, ended, heard, silent)
	following := false
	for {
		select {
		case err := <-sent:
			switch {
			case err == nil && l.follow:
				following = true
				continue
			case errors.Is(err, errNotSent):
				continue // receive gets the rest of what the room said, and ends
			}
			return cmp.Or(err, l.leave(ctx, conn, heard, ended))
		case err := <-ended:
			if following && errors.Is(err, errRoomClosed) || ctx.Err() != nil { // left, and did not wait for the goodbye
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// leave says goodbye, after which the server has taken everything. The error
// says if it has not.
func (l *lines) leave(ctx context.Context, conn *chatroom.Conn, heard <-chan struct{}, ended <-chan error) error {
	// The server may be about to refuse the name. After this end's goodbye that
	// would look like the answer to it.
	for doubt := l.link.doubt(); doubt > 0; doubt = l.link.doubt() {
		select {
		case <-time.After(doubt):
			continue
		case end := <-ended:
			return end
		case <-heard:
		case <-ctx.Done():
		}
		break
	}
	lost, early := l.link.wasLost(), l.link.isNew()
	_ = conn.Close()
	select {
	case end := <-ended:
		if !errors.Is(end, net.ErrClosed) {
			return end // before this end closed it
		}
	case <-ctx.Done():
	}
	switch {
	case lost:
		return errSomeLost
	case !l.link.wasReset():
		return nil
	}
	select {
	case <-heard:
		return errCutShort
	default:
	}
	if early {
		return errCutEarly
	}
	return errCutShort
}

// send sends each line of l.in, until the end of l.in or of conn, after which
// silent is closed. It runs on a goroutine of its own, which a blocked read may
// keep until the program exits.
func (l *lines) send(conn *chatroom.Conn, sent chan<- error, silent <-chan struct{}) {
	in := bufio.NewReaderSize(l.in, 64<<10)
	var line []byte
	var lost error
	for n := 1; ; n++ {
		var err error
		line, err = readLine(in, line[:0])
		switch {
		case err == io.EOF:
			sent <- lost
			return
		case err != nil:
			sent <- fmt.Errorf("input line %d: %w", n, err)
			return
		case len(line) == 0 && l.skipEmpty:
			continue
		}
		if conn.Send(context.Background(), line) == nil {
			continue
		}
		if !l.link.connectsAgain() {
			sent <- errNotSent
			return
		}
		select {
		case <-silent:
			sent <- errNotSent
			return
		default:
			l.notice(fmt.Sprintf("input line %d may not have arrived", n))
			lost = errSomeLost
		}
	}
}

// readLine appends the next line of in to line, without its LF or CRLF. It
// returns io.EOF when there is none. The last line may lack its LF.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			line = line[:len(line)-1]
			line = bytes.TrimSuffix(line, []byte("\r"))
		case err == io.EOF && len(line) > 0:
		case err == bufio.ErrBufferFull && len(line) <= maxLine+len("\r\n"):
			continue
		case err == bufio.ErrBufferFull:
			return nil, errLineTooLong
		default:
			return nil, err
		}
		if len(line) > maxLine {
			return nil, errLineTooLong
		}
		return line, nil
	}
}

// write writes what the room says until the room or l.out ends. It runs on a
// goroutine of its own, which ends with conn unless l.out blocks it.
func (l *lines) write(conn *chatroom.Conn, ended chan<- error, heard, silent chan<- struct{}) {
	out := newOutput(l.out, maxPending)
	received := make(chan error, 1) // by receive, once
	go l.receive(conn, out, received, heard, silent)
	err := out.writeAll()
	switch {
	case err == nil:
		err = <-received
	case errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe):
		err = errQuiet // whoever reads the output has closed it
	}
	ended <- err
}

// receive adds to out what the room says until the room or out ends. It runs on
// a goroutine of its own, which ends with conn.
func (l *lines) receive(conn *chatroom.Conn, out *output, received chan<- error, heard, silent chan<- struct{}) {
	defer out.close("")
	defer close(silent)
	var line []byte
	first := sync.OnceFunc(func() { close(heard) })
	received <- hear(conn, l.link, l.notice, func(m chatroom.Message) bool {
		first()
		line = append(line[:0], l.paint.name(m.From, visibleName(m.From))...)
		line = append(line, " > "...)
		line = append(line, visible(string(m.Body))...)
		return out.add(append(line, '\n'))
	})
}

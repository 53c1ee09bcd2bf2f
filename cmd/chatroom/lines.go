package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
)

// lines is the front for pipes and files: each line read is a message, each
// message is a line written.
type lines struct {
	in        io.Reader
	out, log  io.Writer
	paint     painter
	follow    bool // stay after the end of in
	skipEmpty bool // empty lines are no messages
}

func (l *lines) Write(record []byte) (int, error) { return l.log.Write(record) }

// run shows no greeting, because programs read what it writes.
func (l *lines) run(ctx context.Context, conn *chatroom.Conn, _ ...string) error {
	defer conn.Close()
	sent := make(chan error, 1)  // by send, once
	ended := make(chan error, 1) // by write, once
	go l.send(conn, sent)
	go l.write(conn, ended)
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
			_ = conn.Close() // after the server has taken everything
			select {
			case end := <-ended:
				if err == nil && errors.Is(end, errEarlyEnd) {
					return end // before this end closed it
				}
			case <-ctx.Done():
			}
			return err
		case err := <-ended:
			if following && errors.Is(err, errRoomClosed) {
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// send sends each line of l.in, until the end of l.in or of conn. It runs on a
// goroutine of its own, which a blocked read may keep until the program exits.
func (l *lines) send(conn *chatroom.Conn, sent chan<- error) {
	in := bufio.NewReaderSize(l.in, 64<<10)
	var line []byte
	for n := 1; ; n++ {
		var err error
		line, err = readLine(in, line[:0])
		switch {
		case err == io.EOF:
			sent <- nil
			return
		case err != nil:
			sent <- fmt.Errorf("input line %d: %w", n, err)
			return
		case len(line) == 0 && l.skipEmpty:
			continue
		}
		if conn.Send(context.Background(), line) != nil {
			sent <- errNotSent
			return
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
func (l *lines) write(conn *chatroom.Conn, ended chan<- error) {
	out := newOutput(l.out, maxPending)
	received := make(chan error, 1) // by receive, once
	go l.receive(conn, out, received)
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
func (l *lines) receive(conn *chatroom.Conn, out *output, received chan<- error) {
	defer out.close("")
	var line []byte
	joined := time.Now()
	for any := false; ; any = true {
		m, err := conn.Receive(context.Background())
		if err != nil {
			received <- roomEnd(err, any || time.Since(joined) > verdict)
			return
		}
		line = append(line[:0], l.paint.name(m.From, visibleName(m.From))...)
		line = append(line, " > "...)
		line = append(line, visible(string(m.Body))...)
		if !out.add(append(line, '\n')) {
			return
		}
	}
}

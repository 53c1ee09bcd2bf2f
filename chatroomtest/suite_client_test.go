package chatroomtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestClientSuite(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport, opts ...chatroomtest.SuiteOption) {
		chatroomtest.TestClient(t, func(tb testing.TB) (net.Listener, chatroomtest.JoinFunc) {
			l, dial := tr.listen(tb)
			return l, func(ctx context.Context, name string) (chatroomtest.Subject, error) {
				return chatroom.Dial(ctx, l.Addr().Network(), l.Addr().String(), name, chatroom.WithDialer(dial))
			}
		}, opts...)
	})
}

// clientFaults are what can be wrong with a faultyClient.
type clientFaults struct {
	noName        bool // the name is not sent
	countRunes    bool // lengths are in characters
	rightJustify  bool // headers are padded on the left
	noPad         bool // not at all
	newline       bool // messages are sent with the line's end that was typed
	skipEmpty     bool // empty messages are not sent
	cutLong       bool // no more than 64 KiB of a message are sent
	readOnce      bool // what has not come by one read is taken not to come
	readAhead     bool // what comes in one piece behind a message is dropped
	firstName     bool // all messages are said to be from who sent the first
	dropEmpty     bool // empty messages are not returned
	reuse         bool // all messages share one buffer
	dropLong      bool // messages over 64 KiB are cut
	decode        bool // what is received is decoded, one byte a character
	strictHeaders bool // only headers in their strict form are read
	looseHeaders  bool // signs and underscores are read too
	zeroOnGarbage bool // a bad header counts as zero
	noLimit       bool // a header is believed, whatever it announces
	cleanAlways   bool // every end is a clean one
	oddEnd        bool // no end is a clean one
	neverCloses   bool // Close does nothing
}

// A faultyClient is a client with faults. Without any, it is a correct one.
type faultyClient struct {
	clientFaults
	nc     net.Conn
	shared []byte // the buffer, if there is one for all messages
	first  []byte // who sent the first
}

func (c *faultyClient) Send(_ context.Context, body []byte) error {
	switch {
	case c.skipEmpty && len(body) == 0:
		return nil
	case c.newline:
		body = append(slices.Clone(body), '\n')
	case c.cutLong:
		body = body[:min(len(body), 1<<16)]
	}
	return c.sendFrame(body)
}

func (c *faultyClient) sendFrame(payload []byte) error {
	n, format := len(payload), "%-10d"
	switch {
	case c.countRunes:
		n = utf8.RuneCount(payload)
	case c.rightJustify:
		format = "%10d"
	case c.noPad:
		format = "%d"
	}
	_, err := c.nc.Write(append(fmt.Appendf(nil, format, n), payload...))
	return err
}

func (c *faultyClient) Receive(ctx context.Context) (chatroom.Message, error) {
	name, err := c.readFrame()
	if err != nil {
		switch {
		case c.cleanAlways:
			err = io.EOF
		case c.oddEnd && err == io.EOF:
			err = errors.New("the server has gone")
		}
		return chatroom.Message{}, err
	}
	body, err := c.readFrame()
	switch {
	case err == nil:
	case c.cleanAlways:
		return chatroom.Message{}, io.EOF
	case err == io.EOF:
		return chatroom.Message{}, io.ErrUnexpectedEOF
	default:
		return chatroom.Message{}, err
	}
	switch {
	case c.firstName:
		if c.first == nil {
			c.first = name
		}
		name = c.first
	case c.dropEmpty && len(body) == 0:
		return c.Receive(ctx)
	case c.reuse:
		c.shared = append(c.shared[:0], body...)
		body = c.shared
	case c.dropLong:
		body = body[:min(len(body), 1<<16)]
	case c.decode:
		var text []rune
		for _, b := range body {
			text = append(text, rune(b))
		}
		body = []byte(string(text))
	}
	if c.readAhead {
		// One read takes what is left of the piece.
		if p, ok := c.nc.(*pieceConn); ok {
			p.rest = nil
		}
	}
	return chatroom.Message{From: string(name), Body: body}, nil
}

func (c *faultyClient) readFrame() ([]byte, error) {
	readFull := io.ReadFull
	if c.readOnce {
		readFull = func(r io.Reader, p []byte) (int, error) {
			if len(p) == 0 {
				return 0, nil
			}
			n, err := r.Read(p)
			if err == nil && n < len(p) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	header := make([]byte, 10)
	if _, err := readFull(c.nc, header); err != nil {
		return nil, err
	}
	text := string(header)
	switch {
	case c.strictHeaders:
		text = strings.TrimRight(text, " ")
		if len(text) > 1 && text[0] == '0' {
			return nil, errFaultyHeader
		}
	default:
		text = strings.Trim(text, " \t\r\n")
	}
	if c.looseHeaders {
		text = strings.ReplaceAll(strings.TrimLeft(text, "+-"), "_", "")
	}
	n, err := strconv.ParseUint(text, 10, 63)
	switch {
	case err != nil && c.zeroOnGarbage:
		n = 0
	case err != nil:
		return nil, errFaultyHeader
	case n > 1<<20 && c.noLimit:
		if _, err := io.Copy(io.Discard, c.nc); err != nil {
			return nil, err
		}
		return nil, io.ErrUnexpectedEOF
	case n > 1<<20:
		return nil, errFaultyHeader
	}
	payload := make([]byte, n)
	if _, err := readFull(c.nc, payload); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return payload, nil
}

func (c *faultyClient) Close() error {
	if c.neverCloses {
		return nil
	}
	return c.nc.Close()
}

// A pieceConn reads whole pieces, as a buffered reader does.
type pieceConn struct {
	net.Conn
	rest []byte
}

func (c *pieceConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		buf := make([]byte, 4096)
		n, err := c.Conn.Read(buf)
		if err != nil {
			return 0, err
		}
		c.rest = buf[:n]
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func startFaultyClient(faults clientFaults) func(tb testing.TB) (net.Listener, chatroomtest.JoinFunc) {
	return func(tb testing.TB) (net.Listener, chatroomtest.JoinFunc) {
		l := chatroomtest.NewListener()
		return l, func(ctx context.Context, name string) (chatroomtest.Subject, error) {
			nc, err := l.DialContext(ctx, "", "")
			if err != nil {
				return nil, err
			}
			if faults.readAhead {
				nc = &pieceConn{Conn: nc}
			}
			c := &faultyClient{clientFaults: faults, nc: nc}
			if faults.noName {
				return c, nil
			}
			if err := c.sendFrame([]byte(name)); err != nil {
				return nil, err
			}
			return c, nil
		}
	}
}

// Each fault is found by the cases that are named for it and, where it shows in
// the bytes of the examples, by the conversations; by no other.
func TestClientSuiteFindsFaults(t *testing.T) {
	all := allOf(chatroomtest.ClientCases(nil))
	tests := []struct {
		name   string
		faults clientFaults
		want   []string
	}{
		{"none", clientFaults{}, nil},
		{"noName", clientFaults{noName: true}, all},
		{"countRunes", clientFaults{countRunes: true}, []string{"conversations", "sends-bytes"}},
		{"rightJustify", clientFaults{rightJustify: true}, []string{"conversations", "sends-padding"}},
		{"noPad", clientFaults{noPad: true}, all},
		{"newline", clientFaults{newline: true}, []string{"conversations", "sends", "sends-bytes", "sends-empty", "sends-large", "sends-padding"}},
		{"skipEmpty", clientFaults{skipEmpty: true}, []string{"conversations", "sends-empty"}},
		{"cutLong", clientFaults{cutLong: true}, []string{"sends-large"}},
		{"readOnce", clientFaults{readOnce: true}, []string{"receives-split"}},
		{"readAhead", clientFaults{readAhead: true}, []string{"conversations", "receives-joined-up"}},
		{"firstName", clientFaults{firstName: true}, []string{"conversations", "receives", "receives-order"}},
		{"dropEmpty", clientFaults{dropEmpty: true}, []string{"conversations", "receives-empty"}},
		{"reuse", clientFaults{reuse: true}, []string{"receives-order"}},
		{"dropLong", clientFaults{dropLong: true}, []string{"receives-large"}},
		{"decode", clientFaults{decode: true}, []string{"conversations", "receives-bytes"}},
		{"strictHeaders", clientFaults{strictHeaders: true}, []string{"headers-accepted"}},
		{"looseHeaders", clientFaults{looseHeaders: true}, []string{"headers-rejected"}},
		{"zeroOnGarbage", clientFaults{zeroOnGarbage: true}, []string{"headers-rejected"}},
		{"noLimit", clientFaults{noLimit: true}, []string{"huge-header"}},
		{"cleanAlways", clientFaults{cleanAlways: true}, []string{"headers-rejected", "huge-header", "torn-end"}},
		{"oddEnd", clientFaults{oddEnd: true}, []string{"clean-end"}},
		{"neverCloses", clientFaults{neverCloses: true}, []string{"closes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantFailing(t, tt.want, chatroomtest.ClientCases(startFaultyClient(tt.faults)))
		})
	}
}

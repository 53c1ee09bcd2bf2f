package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// TestRefusedInPipe has a pipe's lines go to a server that takes its time to let
// a name in, or to refuse it.
func TestRefusedInPipe(t *testing.T) {
	const trip = 30 * time.Millisecond
	refuse := func(after time.Duration) chatroom.ServerOption {
		return chatroom.WithAdmit(func(context.Context, *chatroom.Join) error {
			time.Sleep(after)
			return errors.New("no")
		})
	}
	greet := chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
		assert.NoError(t, m.Send(ctx, "host", []byte("hello")))
	})
	for _, tt := range []struct {
		name string
		opt  chatroom.ServerOption
		took time.Duration
		want error
	}{
		{"refused", refuse(0), 0, errEarlyEnd},
		{"refused after a while", refuse(2*trip + swiftVerdict - 1), 2*trip + swiftVerdict - 1, errEarlyEnd},
		{"let in", chatroom.WithHistory(0), 2*trip + swiftVerdict, nil},
		{"let in and greeted", greet, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t, tt.opt)
				nc := s.DialLink(64 << 10)
				l := &lines{
					in: strings.NewReader("hello\n"), out: new(bytes.Buffer), log: io.Discard,
					link: &link{conn: &linkConn{Conn: nc}, madeAt: time.Now(), trip: trip},
				}
				conn, err := chatroom.NewConn(t.Context(), l.link.conn, "a")
				require.NoError(t, err)
				began := time.Now()
				assert.Equal(t, tt.want, l.run(t.Context(), conn))
				assert.Equal(t, tt.took, time.Since(began))
			})
		})
	}
}

// TestNameRefused has a server hang up that does not want the name, and has not
// read what came with it. It may take the input to write, and may not.
func TestNameRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, err = chatroom.ReadFrame(nc, 100)
			assert.NoError(t, err)
			assert.NoError(t, nc.Close())
		}
	}()
	r := startRun(t, "join", "-name", "a", l.Addr().String()) // with input to come
	assert.Equal(t, 1, r.wait())
	assert.Contains(t, r.stderr.String(), "chatroom: the server has closed the room")

	for _, flags := range [][]string{nil, {"-follow"}} {
		status, _, _ := runToEnd(t, "hello\n", append([]string{"join", "-name", "a", l.Addr().String()}, flags...)...)
		assert.Equal(t, 1, status, flags)
	}
}

// TestRefusedAgain has a client that connects again be refused until it gives up.
func TestRefusedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithMaxMembers(1))
		s.Join("b")
		var said bytes.Buffer
		l := &lines{in: strings.NewReader("hello\n"), out: new(bytes.Buffer), log: &said}
		l.link = &link{again: true, notice: l.notice}
		l.link.connect = func(context.Context) (net.Conn, error) { return s.DialLink(64 << 10), nil }
		conn, err := chatroom.Dial(t.Context(), "", "", "a", chatroom.WithDialer(l.link.dial), chatroom.WithReconnect(nil))
		require.NoError(t, err)
		assert.Contains(t, l.run(t.Context(), conn).Error(), "it may have refused the name, or be full")
		assert.Equal(t, 1, strings.Count(said.String(), "trying again"), "it is no connection that was lost, four times")
		assert.NotContains(t, said.String(), "connect")
	})
}

func TestRoomEnd(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errConnReset}
	for _, tt := range []struct {
		err  error
		in   bool
		want string
	}{
		{io.EOF, true, "the server has closed the room"},
		{io.EOF, false, "the server has closed the room at once; it may have refused the name, or be full"},
		{reset, true, "the connection to the server broke: "},
		{reset, false, "the connection to the server broke at once; it may have refused the name, or be full: "},
	} {
		err := roomEnd(tt.err, tt.in)
		if tt.err == io.EOF {
			assert.EqualError(t, err, tt.want)
		} else {
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorIs(t, err, errConnReset)
		}
	}
}

// TestReconnect has the server go and come back while somebody is in the room,
// and go again when they leave.
func TestReconnect(t *testing.T) {
	path := socketPath(t)
	server, addr := startServer(t, "unix:"+path)
	r := startRun(t, "join", "-reconnect", "-name", "a", addr)
	server.stderr.await("name=a")
	early, err := chatroom.Dial(t.Context(), "unix", path, "early")
	require.NoError(t, err)
	require.NoError(t, early.Send(t.Context(), []byte("hi")))
	r.stdout.await("early > hi") // or it would seem that the name was refused
	require.NoError(t, early.Close())
	server.leave()
	assert.Equal(t, 0, server.wait())
	r.stderr.await("chatroom: connection lost, connecting again")
	server, _ = startServer(t, addr)
	r.stderr.await("chatroom: connected again, some messages may be missing")
	server.stderr.await("name=a")
	r.say("hello\n")
	server.stderr.await("text=hello")
	conn, err := chatroom.Dial(t.Context(), "unix", path, "b")
	require.NoError(t, err)
	require.NoError(t, conn.Send(t.Context(), []byte("hi")))
	r.stdout.await("b > hi")
	require.NoError(t, conn.Close())
	server.leave()
	assert.Equal(t, 0, server.wait())
	r.leave()
	assert.Equal(t, 0, r.wait())
}

// TestReconnectLeaves leaves with Ctrl-C while a line waits for a connection.
func TestReconnectLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		only := s.DialLink(64 << 10)
		link := &link{again: true, notice: func(string) {}}
		link.connect = func(context.Context) (net.Conn, error) {
			if link.conn == nil {
				return only, nil
			}
			return nil, errors.New("nobody there")
		}
		conn, err := chatroom.Dial(t.Context(), "", "", "a", chatroom.WithDialer(link.dial), chatroom.WithReconnect(nil))
		require.NoError(t, err)
		in, keys := io.Pipe()
		rw := struct {
			io.Reader
			io.Writer
		}{in, newWatched(t)}
		screen := newScreen(rw, "a", painter{}, nil)
		screen.link = link
		ended := make(chan error, 1)
		go func() { ended <- screen.converse(t.Context(), conn) }()
		synctest.Wait()
		require.NoError(t, only.Peer().Close())
		synctest.Wait()
		_, err = io.WriteString(keys, "hello\r")
		require.NoError(t, err)
		synctest.Wait()
		began := time.Now()
		_, err = io.WriteString(keys, "\x03")
		require.NoError(t, err)
		assert.NoError(t, <-ended)
		assert.Zero(t, time.Since(began))
		require.NoError(t, keys.Close())
	})
}

// TestCutShort has a server reset the connection after the goodbye of a pipe, of
// which it has not read everything.
func TestCutShort(t *testing.T) {
	for _, tt := range []struct {
		name string
		says string
		want error
	}{
		{"in silence", "", errCutEarly},
		{"after a message", string(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("b")), []byte("hi"))), errCutShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := chatroomtest.NewLink(64 << 10)
				l := &lines{in: strings.NewReader("hello\n"), out: new(bytes.Buffer), log: io.Discard}
				l.link = &link{connect: func(context.Context) (net.Conn, error) { return near, nil }}
				conn, err := chatroom.Dial(t.Context(), "", "", "a", chatroom.WithDialer(l.link.dial))
				require.NoError(t, err)
				_, err = io.WriteString(far, tt.says)
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() { ended <- l.run(t.Context(), conn) }()
				time.Sleep(swiftVerdict + time.Millisecond)
				synctest.Wait() // the pipe has said goodbye
				chatroomtest.Reset(far)
				assert.Equal(t, tt.want, <-ended)
			})
		})
	}
}

// With a greeting, nobody has the name of who greets.
func TestGreetersName(t *testing.T) {
	_, addr := startServer(t, "unix:"+socketPath(t), "-greeting", "hello")
	status, _, stderr := runToEnd(t, "hi\n", "join", "-name", "Host", addr)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "it may have refused the name, or be full")
}

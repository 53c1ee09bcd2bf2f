package chatroom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// newConn returns a client named alice and the server's end of its connection,
// from which the name has been read.
func newConn(t *testing.T, opts ...chatroom.DialOption) (*chatroom.Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	named := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(far, make([]byte, 15))
		named <- err
	}()
	c, err := chatroom.NewConn(t.Context(), near, "alice", opts...)
	require.NoError(t, err)
	require.NoError(t, <-named)
	t.Cleanup(func() {
		assert.NoError(t, c.Close())
		assert.NoError(t, far.Close())
	})
	return c, far
}

// acceptNamed accepts one connection and reads its name.
func acceptNamed(t *testing.T, l net.Listener) <-chan net.Conn {
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, err := l.Accept()
		assert.NoError(t, err)
		_, err = chatroom.ReadFrame(nc, 10)
		assert.NoError(t, err)
		accepted <- nc
	}()
	return accepted
}

func message(from, body string) []byte {
	return chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte(from)), []byte(body))
}

func TestDialErrors(t *testing.T) {
	refused := errors.New("no route")
	_, err := chatroom.Dial(t.Context(), "tcp", "x", "alice", chatroom.WithDialer(func(context.Context, string, string) (net.Conn, error) {
		return nil, refused
	}))
	require.ErrorIs(t, err, refused)

	near, far := net.Pipe()
	_, err = chatroom.NewConn(t.Context(), near, "too long", chatroom.WithMaxMessage(7))
	require.ErrorIs(t, err, chatroom.ErrFrameTooLarge)
	_, err = far.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err, "NewConn has closed it")

	near, far = net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = chatroom.NewConn(ctx, near, "nobody reads it")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// However the bytes are cut, and however often Receive is interrupted between
// them, no byte is lost.
func TestReceiveInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := newConn(t)
		long := strings.Repeat("long ", 2000)
		stream := append(message("bob", "hello"), message("carol", long)...)
		go func() {
			for i := range stream {
				time.Sleep(time.Second)
				_, _ = far.Write(stream[i : i+1])
			}
		}()
		next := func() chatroom.Message {
			for {
				ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
				m, err := c.Receive(ctx)
				cancel()
				if err == nil {
					return m
				}
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
		}
		assert.Equal(t, chatroom.Message{From: "bob", Body: []byte("hello")}, next())
		assert.Equal(t, chatroom.Message{From: "carol", Body: []byte(long)}, next())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Receive(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestReceiveBodyBelongsToCaller(t *testing.T) {
	c, far := newConn(t)
	go func() { _, _ = far.Write(append(message("bob", "one"), message("bob", "two")...)) }()
	one, err := c.Receive(t.Context())
	require.NoError(t, err)
	two, err := c.Receive(t.Context())
	require.NoError(t, err)
	copy(one.Body, "XXXXX")
	one.Body = append(one.Body, "more"...)
	assert.Equal(t, "two", string(two.Body))
}

func TestReceiveEnds(t *testing.T) {
	pair := string(message("bob", "hello"))
	tests := []struct {
		name, stream string
		want         error
	}{
		{"nothing", "", io.EOF},
		{"between messages", pair, io.EOF},
		{"in a header", pair + "3  ", io.ErrUnexpectedEOF},
		{"in a name", pair + "3         bo", io.ErrUnexpectedEOF},
		{"between name and message", pair + "3         bob", io.ErrUnexpectedEOF},
		{"in a message", pair + "3         bob5         hel", io.ErrUnexpectedEOF},
		{"bad header", pair + "hello world", chatroom.ErrBadHeader},
		{"too large", pair + "1048577   ", chatroom.ErrFrameTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, far := newConn(t)
			go func() {
				_, _ = io.WriteString(far, tt.stream)
				_ = far.Close()
			}()
			if strings.HasPrefix(tt.stream, pair) {
				_, err := c.Receive(t.Context())
				require.NoError(t, err)
			}
			for range 2 {
				_, err := c.Receive(t.Context())
				require.ErrorIs(t, err, tt.want)
				if tt.want == io.EOF {
					assert.Equal(t, io.EOF, err)
				} else {
					assert.NotErrorIs(t, err, io.EOF)
				}
			}
		})
	}
}

func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		alice, bob := s.Join("alice"), s.Join("bob")
		for _, body := range []string{"1", "2", "3"} {
			alice.Send(body)
			synctest.Wait()
		}
		seq := bob.Conn.Messages(t.Context())
		for m, err := range seq {
			require.NoError(t, err)
			assert.Equal(t, "1", string(m.Body))
			break
		}
		for _, err := range seq {
			require.ErrorContains(t, err, "twice")
		}
		bob.Want("alice", "2")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var got []string
		for m, err := range bob.Conn.Messages(ctx) {
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				got = append(got, "timeout")
				continue
			}
			got = append(got, string(m.Body))
		}
		assert.Equal(t, []string{"3", "timeout"}, got)

		go func() { _ = s.Shutdown(context.Background()) }()
		for range bob.Conn.Messages(t.Context()) {
			assert.Fail(t, "a clean end is just the end")
		}
	})
}

func TestSendContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := newConn(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Send(ctx, []byte("unsent")), context.DeadlineExceeded)
		require.ErrorIs(t, c.Send(ctx, []byte("unsent")), context.DeadlineExceeded)

		go func() { assert.NoError(t, c.Send(t.Context(), []byte("sent"))) }()
		got, err := chatroom.ReadFrame(far, 100)
		require.NoError(t, err)
		assert.Equal(t, "sent", string(got), "nothing of what was not sent")

		// Half a message cannot be taken back.
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _, _ = far.Read(make([]byte, 12)) }()
		err = c.Send(ctx, []byte("half"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, err, c.Send(t.Context(), []byte("later")))
		go func() { _, _ = far.Write(message("bob", "still there")) }()
		m, err := c.Receive(t.Context())
		require.NoError(t, err, "receiving goes on")
		assert.Equal(t, "still there", string(m.Body))
	})
}

func TestCloseUnblocks(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		l, dial := tr.listen(t)
		defer l.Close()
		accepted := acceptNamed(t, l)
		c, err := chatroom.Dial(t.Context(), l.Addr().Network(), l.Addr().String(), "alice", chatroom.WithDialer(dial))
		require.NoError(t, err)
		nc := receive(t, accepted, "Accept")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := c.Receive(context.Background())
				assert.ErrorIs(t, err, net.ErrClosed)
			})
			wg.Go(func() {
				var err error
				for err == nil {
					err = c.Send(context.Background(), make([]byte, 1<<20))
				}
				assert.ErrorIs(t, err, net.ErrClosed)
			})
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_ = c.Close()
		}()
		wg.Wait()
		require.NoError(t, nc.Close())
		receive(t, closed, "Close")
		require.NoError(t, c.Close(), "again")
		require.ErrorIs(t, c.Send(t.Context(), nil), net.ErrClosed)
		_, err = c.Receive(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// Messages sent just before Close arrive, although the client has not read what
// it was sent, which makes TCP reset a connection that is just closed.
func TestCloseLosesNothing(t *testing.T) {
	const messages, size = 20, 64 << 10
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		bob := s.Join("bob")
		for range 5 {
			alice := s.Join("alice")
			if tr.name != "pipe" { // whose client would be stuck with what it does not read
				require.NoError(t, s.Broadcast(context.Background(), "host", []byte("unread")))
				bob.Want("host", "unread")
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range messages {
					assert.NoError(t, alice.Conn.Send(context.Background(), make([]byte, size)))
				}
				assert.NoError(t, alice.Conn.Close())
			}()
			for range messages {
				m, err := bob.Receive()
				require.NoError(t, err)
				require.Len(t, m.Body, size)
			}
			receive(t, sent, "Close")
			require.NoError(t, s.WaitLeave("alice"))
		}
	})
}

func TestConcurrentSendAndReceive(t *testing.T) {
	const senders, receivers, each = 5, 3, 60
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		alice, bob := s.Join("alice"), s.Join("bob")
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for range each {
					assert.NoError(t, alice.Conn.Send(context.Background(), []byte(strings.Repeat("x", 100))))
				}
			})
		}
		for range receivers {
			wg.Go(func() {
				for range senders * each / receivers {
					m, err := bob.Conn.Receive(testContext(t))
					if assert.NoError(t, err) {
						assert.Len(t, m.Body, 100)
					}
				}
			})
		}
		wg.Wait()
		bob.WantQuiet(quiet)
	})
}

// cutSend sends messages of size bytes until one is cut short, so that no other
// can follow, and returns how many were sent before and the error.
func cutSend(t *testing.T, c *chatroom.Conn, size int) (sent int, cut error) {
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := c.Send(ctx, make([]byte, size))
		cancel()
		switch err {
		case nil:
			sent++
		case cut:
			return sent, cut
		default:
			cut = err // or not begun: the next tells
		}
	}
}

// What was sent before a message that was cut short arrives, although the client
// closes with something unread.
func TestCloseAfterCutSend(t *testing.T) {
	goOn := make(chan struct{})
	l := listenTCP(t)
	s := chatroomtest.NewServerOn(t, l, new(net.Dialer).DialContext, chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
		if m.Name == "alice" {
			<-goOn
		}
	}))
	bob := s.Join("bob")
	alice, err := chatroom.Dial(t.Context(), "tcp", l.Addr().String(), "alice")
	require.NoError(t, err)
	waitForMembers(t, s.Server, 2) // Join would wait for the hook
	require.NoError(t, s.Broadcast(context.Background(), "host", []byte("unread by alice")))
	s.WaitWritten()
	bob.Want("host", "unread by alice")
	sent, err := cutSend(t, alice, 100_000)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	closed := make(chan error, 1)
	go func() { closed <- alice.Close() }()
	close(goOn)
	for range sent {
		m, err := bob.Receive()
		require.NoError(t, err)
		assert.Equal(t, "alice", m.From)
	}
	require.NoError(t, receive(t, closed, "Close"))
	require.ErrorIs(t, s.WaitLeave("alice"), io.ErrUnexpectedEOF)
}

// Over TLS a message that was cut may have left part of a record, whatever was
// said to be written: it ends the sending.
func TestSendCutOverTLS(t *testing.T) {
	l, dial := transportNamed("tls").listen(t)
	defer l.Close()
	accepted := acceptNamed(t, l)
	c, err := chatroom.Dial(t.Context(), "tcp", l.Addr().String(), "alice", chatroom.WithDialer(dial))
	require.NoError(t, err)
	nc := receive(t, accepted, "Accept")
	_, err = cutSend(t, c, 10_000)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, nc.Close())
	require.NoError(t, c.Close())
}

// Close does not wait for ever for a server that does not hang up: a second if it
// is quiet, five if it goes on talking.
func TestCloseGivesUp(t *testing.T) {
	for _, talk := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			halved := make(chan struct{})
			c, err := chatroom.NewConn(t.Context(), halfConn{near, halved}, "alice")
			require.NoError(t, err)
			talked := make(chan struct{})
			go func() {
				defer close(talked)
				<-halved
				for talk {
					time.Sleep(900 * time.Millisecond)
					if _, err := far.Write([]byte("x")); err != nil {
						return
					}
				}
			}()
			start := time.Now()
			require.NoError(t, c.Close())
			want := time.Second
			if talk {
				want = 5 * time.Second
			}
			assert.Equal(t, want, time.Since(start))
			require.NoError(t, far.Close())
			<-talked
		})
	}
}

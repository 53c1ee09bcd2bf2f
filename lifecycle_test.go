package chatroom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestServeSeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		second := chatroomtest.NewListener()
		served := make(chan error, 1)
		go func() { served <- s.Serve(second) }()
		nc, err := second.DialContext(t.Context(), "", "")
		require.NoError(t, err)
		alice := s.JoinConn(nc, "alice")
		bob := s.Join("bob")
		alice.Send("hello")
		bob.Want("alice", "hello")
		require.NoError(t, s.Server.Close())
		require.Equal(t, chatroom.ErrServerClosed, <-served)
		_, err = second.DialContext(t.Context(), "", "")
		require.Error(t, err, "Serve closes its listener")
	})
}

func TestServeAfterEnd(t *testing.T) {
	ends := map[string]func(*chatroom.Server) error{
		"Shutdown": func(s *chatroom.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*chatroom.Server).Close,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := chatroom.NewServer()
			require.NoError(t, end(s))
			require.NoError(t, end(s), "again")
			l := chatroomtest.NewListener()
			require.Equal(t, chatroom.ErrServerClosed, s.Serve(l))
			require.Equal(t, net.ErrClosed, l.Close(), "Serve has closed it")
			near, far := net.Pipe()
			require.Equal(t, chatroom.ErrServerClosed, s.ServeConn(t.Context(), far))
			_, err := near.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "ServeConn has closed it")
			require.Equal(t, chatroom.ErrServerClosed, s.Broadcast(context.Background(), "", nil))
			assert.Empty(t, s.Members())
		})
	}
}

func TestServeFails(t *testing.T) {
	s := chatroom.NewServer()
	l := chatroomtest.NewListener()
	require.NoError(t, l.Close())
	err := s.Serve(l)
	require.ErrorIs(t, err, net.ErrClosed)
	require.NotErrorIs(t, err, chatroom.ErrServerClosed)
}

// A flakyListener fails to accept until it is told otherwise.
type flakyListener struct {
	*chatroomtest.Listener

	mu       sync.Mutex
	failures int
	at       []time.Time
}

type temporaryError struct{ error }

func (temporaryError) Temporary() bool { return true }

func (l *flakyListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.at = append(l.at, time.Now())
	l.failures--
	fail := l.failures >= 0
	l.mu.Unlock()
	if fail {
		return nil, temporaryError{errors.New("too many open files")}
	}
	return l.Listener.Accept()
}

func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flakyListener{Listener: chatroomtest.NewListener(), failures: 10}
		s := chatroomtest.NewServerOn(t, l, l.DialContext)
		s.Join("patient")
		l.mu.Lock()
		defer l.mu.Unlock()
		var got []time.Duration
		for i := range 10 {
			got = append(got, l.at[i+1].Sub(l.at[i]))
		}
		ms := time.Millisecond
		assert.Equal(t, []time.Duration{5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}, got)
	})
}

func TestAcceptBackOffEndsWithServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flakyListener{Listener: chatroomtest.NewListener(), failures: 1 << 30}
		s := chatroom.NewServer()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		time.Sleep(time.Hour + time.Millisecond)
		start := time.Now()
		require.NoError(t, s.Close())
		require.Equal(t, chatroom.ErrServerClosed, <-served)
		assert.Zero(t, time.Since(start))
	})
}

func TestServeConnContext(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		l, dial := tr.listen(t)
		defer l.Close()
		left := make(chan error, 1)
		listed := make(chan struct{})
		s := chatroom.NewServer(
			chatroom.WithOnJoin(func(context.Context, chatroom.Member) { close(listed) }),
			chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { left <- reason }))
		ctx, cancel := context.WithCancel(t.Context())
		joined := make(chan *chatroom.Conn, 1)
		go func() {
			c, err := chatroom.Dial(t.Context(), l.Addr().Network(), l.Addr().String(), "alice", chatroom.WithDialer(dial))
			assert.NoError(t, err)
			joined <- c
			_, err = c.Receive(context.Background())
			assert.Error(t, err)
			joined <- c
		}()
		nc, err := l.Accept()
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(ctx, nc) }()
		c := receive(t, joined, "Dial")
		receive(t, listed, "the join")
		cancel()
		require.ErrorIs(t, receive(t, served, "ServeConn"), context.Canceled)
		require.ErrorIs(t, receive(t, left, "the leave hook"), context.Canceled)
		receive(t, joined, "Receive")
		require.NoError(t, c.Close())
		_, err = nc.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// What members had sent when Shutdown was called, and what they are owed, is
// delivered before they are disconnected.
func TestShutdownDeliversWhatIsOwed(t *testing.T) {
	const messages = 300
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		alice, bob := s.Join("alice"), s.Join("bob")
		body := make([]byte, 4<<10)
		for range messages {
			require.NoError(t, s.Broadcast(context.Background(), "host", body))
		}
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(testContext(t)) }()
		var wg sync.WaitGroup
		for _, c := range []*chatroomtest.Client{alice, bob} {
			wg.Go(func() {
				for i := range messages {
					m, err := c.Receive()
					if !assert.NoError(t, err, "message %d", i) {
						return
					}
					assert.Equal(t, "host", m.From)
				}
				_, err := c.Receive()
				assert.Equal(t, io.EOF, err)
				assert.NoError(t, c.Conn.Close())
			})
		}
		wg.Wait()
		require.NoError(t, receive(t, done, "Shutdown"))
		for _, name := range []string{"alice", "bob"} {
			require.ErrorIs(t, s.WaitLeave(name), chatroom.ErrServerClosed)
		}
		assert.Zero(t, s.Stats().Connections)
	})
}

// Members that go on sending do not keep the server from ending, and all that
// was published reaches everyone.
func TestShutdownUnderLoad(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		s := tr.newServer(t)
		const senders = 4
		observers := []*chatroomtest.Client{s.Join("o1"), s.Join("o2")}
		started := make(chan struct{}, senders)
		var wg sync.WaitGroup
		for range senders {
			c := s.Join("sender")
			wg.Go(func() {
				for n := 0; ; n++ {
					if n == 100 {
						started <- struct{}{}
					}
					if err := c.Conn.Send(context.Background(), []byte("busy")); err != nil {
						assert.GreaterOrEqual(t, n, 100)
						assert.NoError(t, c.Conn.Close())
						return
					}
				}
			})
			wg.Go(func() {
				for {
					if _, err := c.Conn.Receive(context.Background()); err != nil {
						return
					}
				}
			})
		}
		counts := make([]uint64, len(observers))
		for i, o := range observers {
			wg.Go(func() {
				for {
					if _, err := o.Receive(); err != nil {
						assert.Equal(t, io.EOF, err)
						assert.NoError(t, o.Conn.Close())
						return
					}
					counts[i]++
				}
			})
		}
		for range senders {
			receive(t, started, "the load")
		}
		require.NoError(t, s.Shutdown(testContext(t)))
		wg.Wait()
		for _, n := range counts {
			assert.Equal(t, s.Stats().Messages, n)
		}
	})
}

func TestShutdownContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(-1))
		raw := s.DialRaw()
		raw.SendFrame("never reads")
		s.WantMembers("never reads")
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("unread")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.Equal(t, context.DeadlineExceeded, s.Shutdown(ctx))
		assert.Equal(t, time.Minute, time.Since(start))
		require.ErrorIs(t, s.WaitLeave("never reads"), chatroom.ErrServerClosed)
		synctest.Wait()
		require.NoError(t, s.Shutdown(ctx), "nothing is left to wait for")
	})
}

// Shutdown returns when the last leave hook has, and drops at once those who
// have not said their names.
func TestShutdownWaitsForHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := false
		s := chatroomtest.NewServer(t, chatroom.WithOnLeave(func(context.Context, chatroom.Member, error) {
			time.Sleep(time.Hour)
			returned = true
		}))
		silent := s.DialRaw()
		half := s.DialRaw()
		half.SendBytes("5       ")
		s.Join("alice")
		start := time.Now()
		require.NoError(t, s.Shutdown(t.Context()))
		assert.Equal(t, time.Hour, time.Since(start))
		assert.True(t, returned)
		silent.WantClosed()
		half.WantClosed()
	})
}

func TestShutdownAndCloseTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		for range 10 {
			raw := s.DialRaw()
			raw.SendFrame("m")
		}
		synctest.Wait()
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("unread")))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { assert.NoError(t, s.Shutdown(context.Background())) })
		}
		synctest.Wait()
		start := time.Now()
		for range 5 {
			wg.Go(func() { assert.NoError(t, s.Server.Close()) })
		}
		wg.Wait()
		assert.Zero(t, time.Since(start))
		for range 10 {
			require.ErrorIs(t, s.WaitLeave("m"), chatroom.ErrServerClosed)
		}
	})
}

// A hook may end the server: at once as it is, gracefully on a goroutine of its
// own, since Shutdown waits for hooks.
func TestEndFromHook(t *testing.T) {
	ends := map[string]func(s *chatroom.Server){
		"Shutdown": func(s *chatroom.Server) { go func() { _ = s.Shutdown(context.Background()) }() },
		"Close":    func(s *chatroom.Server) { _ = s.Close() },
	}
	hooks := map[string]func(end func()) chatroom.ServerOption{
		"join": func(end func()) chatroom.ServerOption {
			return chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				if m.Name == "last" {
					end()
				}
			})
		},
		"leave": func(end func()) chatroom.ServerOption {
			return chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) { end() })
		},
		"name": func(end func()) chatroom.ServerOption {
			return chatroom.WithNameRule(func(name string) error {
				if name == "last" {
					end()
				}
				return nil
			})
		},
	}
	for endName, end := range ends {
		for hookName, hook := range hooks {
			t.Run(endName+" from "+hookName+" hook", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var s *chatroomtest.Server
					s = chatroomtest.NewServer(t, hook(func() { end(s.Server) }))
					s.Join("first")
					s.Join("second")
					last := s.DialRaw()
					last.SendFrame("last")
					if hookName == "leave" {
						s.WantMembers("first", "second", "last")
						require.NoError(t, last.Close())
					} else {
						last.WantClosed()
					}
					require.ErrorIs(t, s.WaitLeave("first"), chatroom.ErrServerClosed)
					require.ErrorIs(t, s.WaitLeave("second"), chatroom.ErrServerClosed)
					assert.Empty(t, s.Members())
				})
			})
		}
	}
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		require.NoError(t, s.Flush(t.Context()), "nothing to write")
		a, b := s.Join("a"), s.Join("b")
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("one")))
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(t.Context()) }()
		a.Want("host", "one")
		synctest.Wait()
		assert.Empty(t, flushed, "b has not read")
		require.NoError(t, s.Broadcast(context.Background(), "host", []byte("published later")))
		b.Want("host", "one")
		require.NoError(t, <-flushed, "what is published later does not count")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, s.Flush(ctx))
		go func() { flushed <- s.Flush(t.Context()) }()
		a.Want("host", "published later")
		synctest.Wait()
		b.Cut()
		require.NoError(t, <-flushed, "b has left")
	})
}

// A halfConn is a connection in memory that can end one direction: it tells.
type halfConn struct {
	net.Conn
	halved chan struct{}
}

func (c halfConn) CloseWrite() error {
	close(c.halved)
	return nil
}

// A second Shutdown does not cut short the time that a member has to read what
// it was sent.
func TestSecondShutdownLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		near, far := net.Pipe()
		defer near.Close()
		halved := make(chan struct{})
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(context.Background(), halfConn{far, halved}) }()
		_, err := near.Write(chatroom.AppendFrame(nil, []byte("alice")))
		require.NoError(t, err)
		s.WantMembers("alice")
		start := time.Now()
		for range 2 {
			go func() { assert.NoError(t, s.Shutdown(context.Background())) }()
			<-halved
			synctest.Wait()
		}
		require.Equal(t, chatroom.ErrServerClosed, <-served)
		assert.Equal(t, 500*time.Millisecond, time.Since(start))
	})
}

// A connection that has ended during its handshake does not become a member.
func TestNoJoinAfterEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inRule, goOn := make(chan struct{}), make(chan struct{})
		s := chatroomtest.NewServer(t,
			chatroom.WithNameRule(func(string) error {
				close(inRule)
				<-goOn
				return nil
			}),
			chatroom.WithOnJoin(func(context.Context, chatroom.Member) { assert.Fail(t, "joined") }))
		near, far := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(ctx, far) }()
		_, err := near.Write(chatroom.AppendFrame(nil, []byte("late")))
		require.NoError(t, err)
		<-inRule
		cancel()
		_, err = near.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		close(goOn)
		require.ErrorIs(t, <-served, context.Canceled)
	})
}

package chatroom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// every is a policy that waits for so long, and never gives up.
func every(d time.Duration) func(int, error) (time.Duration, bool) {
	return func(int, error) (time.Duration, bool) { return d, true }
}

func dialAgain(t *testing.T, l *chatroomtest.Listener, policy func(int, error) (time.Duration, bool)) *chatroom.Conn {
	t.Helper()
	c, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithDialer(l.DialContext), chatroom.WithReconnect(policy))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		bob := s.Join("bob")
		var attempts []int
		alice := dialAgain(t, s.Listener, func(attempt int, cause error) (time.Duration, bool) {
			attempts = append(attempts, attempt)
			assert.Error(t, cause)
			return time.Minute, true
		})
		s.WantMembers("bob", "alice")
		for range 2 {
			time.Sleep(time.Second)
			s.Members()[1].Kick(nil)
			start := time.Now()
			sent := make(chan error, 1)
			go func() {
				time.Sleep(time.Second) // by when she has noticed
				sent <- alice.Send(t.Context(), []byte("back again"))
			}()
			_, err := alice.Receive(t.Context())
			require.Equal(t, chatroom.ErrReconnected, err)
			require.Equal(t, time.Minute, time.Since(start))
			bob.Want("alice", "back again")
			require.NoError(t, <-sent)
			bob.Send("hello")
			m, err := alice.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, "hello", string(m.Body))
		}
		require.Equal(t, []int{1, 1}, attempts)

		// A context that ends leaves the rest of the pause to the next call.
		time.Sleep(time.Second)
		s.Members()[1].Kick(nil)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		_, err := alice.Receive(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, alice.Send(ctx, nil), context.DeadlineExceeded)
		for _, err := range alice.Messages(t.Context()) {
			require.Equal(t, chatroom.ErrReconnected, err)
			break
		}
		require.Equal(t, time.Minute, time.Since(start))
	})
}

// Who is refused again and again gives up, and says why.
func TestReconnectGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("no")
		s := chatroomtest.NewServer(t, chatroom.WithAdmit(func(context.Context, *chatroom.Join) error { return no }))
		alice := dialAgain(t, s.Listener, nil)
		reconnected := 0
		var err error
		for err = chatroom.ErrReconnected; err == chatroom.ErrReconnected; reconnected++ {
			_, err = alice.Receive(t.Context())
		}
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 5, reconnected, "four times, and then not")
		require.ErrorIs(t, alice.Send(t.Context(), nil), io.EOF)
		_, err = alice.Receive(t.Context())
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, 5, s.Stats().Refusals.Total())
	})
}

// A server that is not there is dialed again.
func TestReconnectToAServerThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var listener atomic.Pointer[chatroomtest.Listener]
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			return listener.Load().DialContext(ctx, network, address)
		}
		ends := make(chan func(), 1)
		serve := func() {
			l := chatroomtest.NewListener()
			listener.Store(l)
			s := chatroom.NewServer()
			go func() { _ = s.Serve(l) }()
			ends <- func() {
				assert.NoError(t, s.Close())
				assert.NoError(t, s.Shutdown(t.Context()))
			}
		}
		end := func() { (<-ends)() }
		serve()
		causes := 0
		alice, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithDialer(dial), chatroom.WithReconnect(func(attempt int, cause error) (time.Duration, bool) {
			if errors.Is(cause, syscall.ECONNREFUSED) {
				causes++
			}
			return time.Second, true
		}))
		require.NoError(t, err)
		synctest.Wait()
		end()
		time.AfterFunc(10*time.Second+time.Millisecond, serve)
		start := time.Now()
		_, err = alice.Receive(t.Context())
		require.Equal(t, chatroom.ErrReconnected, err)
		require.Equal(t, 11*time.Second, time.Since(start))
		require.Equal(t, 10, causes)
		require.NoError(t, alice.Close())
		end()
	})
}

// Close ends every wait, of a pause, a dial and a send.
func TestCloseEndsReconnecting(t *testing.T) {
	for name, policy := range map[string]func(int, error) (time.Duration, bool){"pause": every(time.Hour), "dial": every(0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t)
				first := true
				alice, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithReconnect(policy), chatroom.WithDialer(
					func(ctx context.Context, network, address string) (net.Conn, error) {
						if first {
							first = false
							return s.Listener.DialContext(ctx, network, address)
						}
						<-ctx.Done()
						return nil, ctx.Err()
					}))
				require.NoError(t, err)
				s.WantMembers("alice")
				s.Members()[0].Kick(nil)
				results := make(chan error, 2)
				go func() {
					_, err := alice.Receive(t.Context())
					results <- err
				}()
				time.Sleep(time.Minute)
				go func() { results <- alice.Send(t.Context(), []byte("never")) }()
				synctest.Wait()
				require.Empty(t, results)
				require.NoError(t, alice.Close())
				for range 2 {
					require.ErrorIs(t, <-results, net.ErrClosed)
				}
				_, err = alice.Receive(t.Context())
				require.ErrorIs(t, err, net.ErrClosed)
				require.NoError(t, alice.Close())
			})
		})
	}
}

// A message that a connection has cut is not sent again.
func TestReconnectSendsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		bob := s.Join("bob")
		var link *chatroomtest.Link
		alice, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithReconnect(every(time.Second)), chatroom.WithDialer(
			func(context.Context, string, string) (net.Conn, error) {
				link = s.DialLink(0)
				return link, nil
			}))
		require.NoError(t, err)
		s.WantMembers("bob", "alice")
		link.CutAfter(12)
		require.Error(t, alice.Send(t.Context(), []byte("cut")))
		_, err = alice.Receive(t.Context())
		require.Equal(t, chatroom.ErrReconnected, err)
		require.NoError(t, alice.Send(t.Context(), []byte("whole")))
		bob.Want("alice", "whole")
		bob.WantNothing()
		require.NoError(t, alice.Close())
	})
}

// A client that is closed just when it has connected again is gone.
func TestCloseWhileReconnecting(t *testing.T) {
	for range 2000 {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t)
			dialed := make(chan struct{}, 2)
			alice, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithReconnect(every(0)), chatroom.WithDialer(
				func(ctx context.Context, network, address string) (net.Conn, error) {
					defer func() { dialed <- struct{}{} }()
					return s.Listener.DialContext(ctx, network, address)
				}))
			require.NoError(t, err)
			s.WantMembers("alice")
			<-dialed
			s.Members()[0].Kick(nil)
			go func() { _, _ = alice.Receive(t.Context()) }()
			<-dialed
			require.NoError(t, alice.Close())
			synctest.Wait()
			require.Empty(t, s.Members())
		})
	}
}

// An endingConn notes how it is ended.
type endingConn struct {
	*chatroomtest.Link
	ends chan string
}

func (c endingConn) CloseWrite() error {
	c.ends <- "goodbye"
	return c.Link.CloseWrite()
}

func (c endingConn) Close() error {
	c.ends <- "close"
	return c.Link.Close()
}

// Close says goodbye, also while others receive.
func TestGoodbyeOfAReconnectingClient(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t)
			ends := make(chan string, 10)
			alice, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithReconnect(every(0)), chatroom.WithDialer(
				func(context.Context, string, string) (net.Conn, error) { return endingConn{s.DialLink(0), ends}, nil }))
			require.NoError(t, err)
			s.WantMembers("alice")
			go func() { _, _ = alice.Receive(t.Context()) }()
			synctest.Wait()
			require.NoError(t, alice.Close())
			require.Equal(t, "goodbye", <-ends)
			require.Equal(t, "close", <-ends)
			require.NoError(t, s.WaitLeave("alice"))
		})
	}
}

// A context that ends with a cause is told as by any other Receive.
func TestReconnectUntilAContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		alice := dialAgain(t, s.Listener, every(time.Hour))
		s.WantMembers("alice")
		s.Members()[0].Kick(nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errors.New("enough")) })
		_, err := alice.Receive(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A muteConn is a connection of which only the writing fails.
type muteConn struct {
	net.Conn
	mute *atomic.Bool
}

func (c muteConn) Write(p []byte) (int, error) {
	if c.mute.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// A connection that takes nothing any more is of no use, even if it can still be read.
func TestReconnectAfterAFailedSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		bob := s.Join("bob")
		var mute *atomic.Bool
		alice, err := chatroom.Dial(t.Context(), "", "", "alice", chatroom.WithReconnect(every(0)), chatroom.WithDialer(
			func(ctx context.Context, network, address string) (net.Conn, error) {
				mute = new(atomic.Bool)
				nc, err := s.Listener.DialContext(ctx, network, address)
				return muteConn{nc, mute}, err
			}))
		require.NoError(t, err)
		s.WantMembers("bob", "alice")
		mute.Store(true)
		received := make(chan error, 1)
		go func() {
			_, err := alice.Receive(t.Context())
			received <- err
		}()
		require.NoError(t, alice.Send(t.Context(), []byte("hello")))
		require.Equal(t, chatroom.ErrReconnected, <-received)
		bob.Want("alice", "hello")
		require.NoError(t, alice.Close())
	})
}

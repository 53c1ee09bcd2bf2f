package chatroomtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// A recorder is a test that may fail without failing the one around it.
type recorder struct {
	testing.TB

	cleanups []func()
	failures []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failureOf runs test with a T of its own, cleans up after it, and returns how it
// failed.
func failureOf(t *testing.T, test func(tb testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	onGoroutine(func() { test(r) })
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		onGoroutine(r.cleanups[i])
	}
	return strings.Join(r.failures, "\n")
}

// onGoroutine runs f, which may end its goroutine.
func onGoroutine(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// A failure says what was wanted, what came and who is in the room.
func TestFailuresReadWell(t *testing.T) {
	tests := []struct {
		name string
		test func(tb testing.TB)
		want string
	}{
		{"nothing came", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			s.Join("bob")
			s.Join("alice").Want("bob", "hello")
		}, `chatroomtest: alice: want "hello" from "bob", got nothing; in the room: ["bob" "alice"]`},
		{"another message", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			bob, alice := s.Join("bob"), s.Join("alice")
			bob.Send("help")
			alice.Want("bob", "hello")
		}, `chatroomtest: alice: want "hello" from "bob", got "help" from "bob"; in the room: ["bob" "alice"]`},
		{"closed", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			alice := s.Join("alice")
			_ = s.Server.Close()
			alice.Want("bob", "hello")
		}, `chatroomtest: alice: want "hello" from "bob", got EOF; in the room: nobody`},
		{"something", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			bob, alice := s.Join("bob"), s.Join("alice")
			bob.Send("hello")
			alice.WantNothing()
		}, `chatroomtest: alice: want nothing, got "hello" from "bob"; in the room: ["bob" "alice"]`},
		{"nothing but the end", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			alice := s.Join("alice")
			_ = s.Server.Close()
			alice.WantNothing()
		}, `chatroomtest: alice: want nothing, got EOF; in the room: nobody`},
		{"not closed", func(tb testing.TB) {
			chatroomtest.NewServer(tb).Join("alice").WantClosed()
		}, `chatroomtest: alice: want the connection closed, but it is open; in the room: ["alice"]`},
		{"a message before the end", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			bob, alice := s.Join("bob"), s.Join("alice")
			bob.Send("hello")
			alice.WantClosed()
		}, `chatroomtest: alice: want the connection closed, got "hello" from "bob"; in the room: ["bob" "alice"]`},
		{"rejected", func(tb testing.TB) {
			chatroomtest.NewServer(tb).Join("new\nline")
		}, "chatroomtest: join as \"new\\nline\": the server did not let it in: EOF; the server has ended the connection: chatroom: name rejected: \"new\\nline\": control character '\\n'; in the room: nobody"},
		{"rejected, and logged elsewhere", func(tb testing.TB) {
			chatroomtest.NewServer(tb, chatroom.WithLogger(slog.New(slog.DiscardHandler))).Join("new\nline")
		}, "chatroomtest: join as \"new\\nline\": the server did not let it in: EOF; the server has ended the connection: chatroom: name rejected: \"new\\nline\": control character '\\n'; in the room: nobody"},
		{"thrown out", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			alice, raw := s.Join("alice"), s.DialRaw()
			raw.SendFrame("raw")
			raw.SendBytes("no header ")
			alice.Want("raw", "hello")
		}, `chatroomtest: alice: want "hello" from "raw", got nothing; in the room: ["alice"]; "raw" has left: chatroom: bad frame header "no header ": want digits padded with spaces`},
		{"not refused", func(tb testing.TB) {
			_ = chatroomtest.NewServer(tb).Refusal("alice")
		}, `chatroomtest: join as "alice": want it refused, but it is let in; in the room: ["alice"]`},
		{"members", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			s.Join("alice")
			s.WantMembers("alice", "bob")
		}, `chatroomtest: the room: want members ["alice" "bob"], and nobody comes or goes; in the room: ["alice"]`},
		{"leave", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			s.Join("alice")
			_ = s.WaitLeave("alice")
		}, `chatroomtest: alice: want it to leave, but it did not; in the room: ["alice"]`},
		{"not written", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb, chatroom.WithWriteTimeout(-1))
			s.Join("alice")
			_ = s.Broadcast(context.Background(), "h", []byte("owed"))
			s.WaitWritten()
		}, `chatroomtest: the room: not all is written: a member is 25 bytes behind; in the room: ["alice"]`},
		{"send after close", func(tb testing.TB) {
			alice := chatroomtest.NewServer(tb).Join("alice")
			alice.Close()
			alice.Send("hello")
		}, `chatroomtest: alice: send "hello": chatroom: send: use of closed network connection; in the room: nobody`},
		{"send after an eviction", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb, chatroom.WithIdleTimeout(time.Minute))
			alice := s.Join("alice")
			time.Sleep(2 * time.Minute)
			alice.Send("hello")
		}, `chatroomtest: alice: send "hello": chatroom: send: write pipe pipe:1->pipe: broken pipe; in the room: nobody; "alice" has left: chatroom: idle for 1m0s: read pipe pipe->pipe:1: i/o timeout`},
		{"part", func(tb testing.TB) {
			chatroomtest.NewServer(tb).Join("alice").SendPart("hello", 16)
		}, `chatroomtest: alice: send 16 bytes of a frame of 15; in the room: ["alice"]`},
		{"raw bytes", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			raw := s.DialRaw()
			raw.SendFrame("raw")
			s.WantMembers("raw")
			_ = s.Broadcast(context.Background(), "h", []byte("hello"))
			raw.WantBytes("1         H")
		}, `chatroomtest: raw: want bytes "1         H", got "1         h" (<nil>); in the room: ["raw"]`},
		{"raw nothing", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb)
			raw := s.DialRaw()
			raw.SendFrame("raw")
			s.WantMembers("raw")
			_ = s.Broadcast(context.Background(), "h", []byte("hello"))
			raw.WantNothing()
		}, `chatroomtest: raw: want nothing, got byte "1"; in the room: ["raw"]`},
		{"raw closed", func(tb testing.TB) {
			s := chatroomtest.NewServer(tb, chatroom.WithHandshakeTimeout(-1))
			s.DialRaw().WantClosed()
		}, `chatroomtest: raw: want the connection closed, but it is open; in the room: nobody`},
		{"raw send", func(tb testing.TB) {
			raw := chatroomtest.NewServer(tb).DialRaw()
			raw.Cut()
			raw.SendFrame("late")
		}, `chatroomtest: raw: send "4         late": write pipe pipe:1->pipe: use of closed network connection; in the room: nobody`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, tt.want, failureOf(t, tt.test))
			})
		})
	}
}

// A join that fails for a hook of the program's says so; of one that is stuck the
// stack is shown, of one that panics it is in the test's log.
func TestJoinFailuresShowTheHook(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			failure := failureOf(t, func(tb testing.TB) {
				chatroomtest.NewServer(tb, chatroom.WithOnJoin(func(context.Context, chatroom.Member) {
					if !stuck {
						panic("boo")
					}
					<-release
				})).Join("alice")
			})
			close(release)
			synctest.Wait()
			want := `the server has ended the connection: chatroom: hook failed: join hook panicked: boo`
			if stuck {
				want = `join as "alice": it is in the room, but its join hooks have not returned`
			}
			assert.Contains(t, failure, want)
			if stuck {
				assert.Contains(t, failure, "TestJoinFailuresShowTheHook")
			}
		})
	}
}

// A server of which something is left running fails its own test and no other,
// and says whose it is: it goes by its own count, not by the process's goroutines.
func TestCleanupFindsWhatIsLeft(t *testing.T) {
	for _, stuck := range []string{"alice", "", "bob", ""} {
		t.Run("stuck "+stuck, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				failure := failureOf(t, func(tb testing.TB) {
					s := chatroomtest.NewServer(tb, chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) {
						if m.Name == stuck {
							<-release
						}
					}))
					s.Join("alice")
					s.Join("bob")
				})
				close(release)
				synctest.Wait()
				if stuck == "" {
					assert.Empty(t, failure)
					return
				}
				assert.Contains(t, failure, "the server did not end")
				assert.Contains(t, failure, "1 connections are left")
				assert.Contains(t, failure, fmt.Sprintf("whose leave has not been told: [%q]", stuck))
				assert.Contains(t, failure, "TestCleanupFindsWhatIsLeft", "the stacks show the hook")
			})
		})
	}
}

// Outside a bubble the same checks work against a real clock.
func TestOutsideABubble(t *testing.T) {
	failure := failureOf(t, func(tb testing.TB) {
		s := chatroomtest.NewServer(tb)
		bob, alice, raw := s.Join("bob"), s.Join("alice"), s.DialRaw()
		alice.WantQuiet(time.Millisecond)
		raw.WantQuiet(time.Millisecond)
		raw.SendFrame("raw")
		s.WantMembers("bob", "alice", "raw")
		bob.Send("hello")
		raw.Want("bob", "hello")
		alice.Want("bob", "hello")
		alice.Close()
		bob.Cut()
		if err := s.WaitLeave("alice"); err != nil {
			tb.Errorf("alice left with %v", err)
		}
		_ = s.WaitLeave("bob")
		s.WaitWritten()
	})
	assert.Empty(t, failure)
}

func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		require.ErrorIs(t, s.Refusal(""), chatroom.ErrNameRejected)
		require.NoError(t, s.Server.Close())
		require.ErrorIs(t, s.Refusal("late"), chatroom.ErrServerClosed)
	})
}

// A server belongs to the bubble in which it was made, or to none.
func TestBubbleMismatch(t *testing.T) {
	uses := map[string]func(*chatroomtest.Server){
		"Join":     func(s *chatroomtest.Server) { s.Join("alice") },
		"DialLink": func(s *chatroomtest.Server) { s.DialLink(0) },
		"DialRaw":  func(s *chatroomtest.Server) { s.DialRaw() },
		"Refusal":  func(s *chatroomtest.Server) { _ = s.Refusal("alice") },
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			failure := failureOf(t, func(tb testing.TB) {
				s := chatroomtest.NewServer(tb)
				synctest.Test(t, func(*testing.T) { onGoroutine(func() { use(s) }) })
			})
			assert.Equal(t, "chatroomtest: the server was made outside this synctest bubble; make it inside, with the bubble's T", failure)

			r := &recorder{TB: t}
			var s *chatroomtest.Server
			synctest.Test(t, func(t *testing.T) { s = chatroomtest.NewServer(cleaner{r, t}) })
			onGoroutine(func() { use(s) })
			assert.Equal(t, []string{"chatroomtest: the server was made inside a synctest bubble, and cannot be used outside of it"}, r.failures)
		})
	}
}

// A cleaner is a recorder that cleans up with a test.
type cleaner struct {
	*recorder
	t *testing.T
}

func (c cleaner) Cleanup(f func()) { c.t.Cleanup(f) }

// A member that nobody reads stays while its client is drained.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		alice := s.Join("alice")
		alice.Drain()
		bob := s.Join("bob")
		for range 3 {
			bob.Send("hello")
			time.Sleep(time.Hour)
		}
		s.WantMembers("alice", "bob")
		s.Join("nobody reads")
		bob.Send("hello")
		require.ErrorIs(t, s.WaitLeave("nobody reads"), chatroom.ErrSlowConsumer)
		alice.Close()
		require.NoError(t, s.WaitLeave("alice"))
	})
}

func TestHalfFramesAndCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		bob := s.Join("bob")
		for n := 1; n < 15; n++ {
			alice := s.Join("alice")
			alice.SendPart("hello", n)
			alice.Close()
			require.ErrorIs(t, s.WaitLeave("alice"), io.ErrUnexpectedEOF)
			alice = s.Join("alice")
			alice.SendPart("hello", n)
			alice.Cut()
			require.ErrorIs(t, s.WaitLeave("alice"), syscall.ECONNRESET)
		}
		bob.WantNothing()
	})
}

// A message that arrives while Join waits is not lost.
func TestJoinReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *chatroomtest.Server
		s = chatroomtest.NewServer(t, chatroom.WithOnJoin(func(context.Context, chatroom.Member) {
			for i := range 3 {
				assert.NoError(t, s.Broadcast(context.Background(), "host", fmt.Append(nil, i)))
			}
			time.Sleep(time.Second) // in which alice, who is in Join, reads one
		}))
		alice := s.Join("alice")
		for i := range 3 {
			alice.Want("host", fmt.Sprint(i))
		}
		alice.WantNothing()
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := chatroomtest.NewListener()
		one, err := l.DialContext(t.Context(), "any", "thing")
		require.NoError(t, err)
		two, err := l.DialFrom(t.Context(), chatroomtest.Addr("10.1.2.3:4"))
		require.NoError(t, err)
		pending, err := l.DialContext(t.Context(), "", "")
		require.NoError(t, err)

		first, err := l.Accept()
		require.NoError(t, err)
		second, err := l.Accept()
		require.NoError(t, err)
		assert.Equal(t, "pipe:1", first.RemoteAddr().String())
		assert.Equal(t, "pipe", first.RemoteAddr().Network())
		assert.Equal(t, one.LocalAddr(), first.RemoteAddr())
		assert.Equal(t, one.RemoteAddr(), first.LocalAddr())
		assert.Equal(t, l.Addr(), first.LocalAddr())
		assert.Equal(t, "10.1.2.3:4", second.RemoteAddr().String())
		assert.Equal(t, two.LocalAddr(), second.RemoteAddr())

		accepting := make(chan error, 1)
		require.NoError(t, l.Close())
		go func() {
			_, err := l.Accept()
			accepting <- err
		}()
		assert.Equal(t, net.ErrClosed, <-accepting)
		_, err = l.Accept()
		assert.Equal(t, net.ErrClosed, err)
		assert.Equal(t, net.ErrClosed, l.Close())
		_, err = pending.Read(make([]byte, 1))
		assert.Equal(t, io.EOF, err, "what was not accepted is closed")
		_, err = l.DialContext(t.Context(), "", "")
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)

		go func() { _, _ = one.Write([]byte("x")) }()
		_, err = first.Read(make([]byte, 1))
		require.NoError(t, err, "what was accepted is not closed")
		for _, nc := range []net.Conn{one, two, pending, first, second} {
			_ = nc.Close()
		}
	})
}

func TestAcceptIsUnblocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := chatroomtest.NewListener()
		results := make(chan error)
		for range 3 {
			go func() {
				_, err := l.Accept()
				results <- err
			}()
		}
		synctest.Wait()
		nc, err := l.DialContext(t.Context(), "", "")
		require.NoError(t, err)
		require.NoError(t, <-results)
		require.NoError(t, nc.Close())
		require.NoError(t, l.Close())
		require.Equal(t, net.ErrClosed, <-results)
		require.Equal(t, net.ErrClosed, <-results)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.DialContext(ctx, "", "")
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestConnErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connect := func() (near, far net.Conn) {
			l := chatroomtest.NewListener()
			near, err := l.DialContext(t.Context(), "", "")
			require.NoError(t, err)
			far, err = l.Accept()
			require.NoError(t, err)
			return near, far
		}
		buf := make([]byte, 1)
		near, far := connect()
		require.NoError(t, near.SetDeadline(time.Now().Add(time.Hour)))
		_, err := near.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = near.Write(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout net.Error
		require.True(t, errors.As(err, &timeout) && timeout.Timeout())

		require.NoError(t, near.Close())
		_, err = near.Read(buf)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = near.Write(buf)
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, near.Close(), net.ErrClosed)
		_, err = far.Read(buf)
		require.Equal(t, io.EOF, err)
		_, err = far.Write(buf)
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, far.Close())
	})
}

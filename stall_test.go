package chatroom_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A stickyConn blocks in the named calls until it is let go.
type stickyConn struct {
	net.Conn
	sticks map[string]bool
	letGo  chan struct{}
}

func (c *stickyConn) stick(call string) {
	if c.sticks[call] {
		<-c.letGo
	}
}

func (c *stickyConn) Read(p []byte) (int, error)  { c.stick("Read"); return c.Conn.Read(p) }
func (c *stickyConn) Write(p []byte) (int, error) { c.stick("Write"); return c.Conn.Write(p) }
func (c *stickyConn) Close() error                { c.stick("Close"); return c.Conn.Close() }
func (c *stickyConn) SetDeadline(t time.Time) error {
	c.stick("SetDeadline")
	return c.Conn.SetDeadline(t)
}
func (c *stickyConn) SetReadDeadline(t time.Time) error {
	c.stick("SetReadDeadline")
	return c.Conn.SetReadDeadline(t)
}
func (c *stickyConn) SetWriteDeadline(t time.Time) error {
	c.stick("SetWriteDeadline")
	return c.Conn.SetWriteDeadline(t)
}

// No lock is held across I/O or a hook. Each case brings a server to a state in
// which something blocks, and uses all of the server in it. Goroutines that wait
// for a lock stop the clock of a bubble, so that an hour which passes shows that
// there is none; the watchdog, outside of the bubble, shows where there is one.
func TestNoLockAcrossIO(t *testing.T) {
	type stage struct {
		*chatroomtest.Server
		letGo   chan struct{}
		serve   func(sticks ...string) func(bytes string) // connects so that the server blocks in those calls; the result sends
		stalled func(name string) *chatroomtest.Raw       // a member that never reads
	}
	stuckHook := func(letGo chan struct{}, name string) func(context.Context, chatroom.Member) {
		return func(_ context.Context, m chatroom.Member) {
			if m.Name == name {
				<-letGo
			}
		}
	}
	cases := []struct {
		name  string
		setUp func(t *testing.T, s *stage)
	}{
		{"a stranger is silent", func(_ *testing.T, s *stage) { s.DialRaw() }},
		{"half a name", func(_ *testing.T, s *stage) { s.DialRaw().SendBytes("5         al") }},
		{"a member does not read", func(_ *testing.T, s *stage) {
			s.stalled("stalled")
			_ = s.Broadcast(context.Background(), "host", []byte("owed"))
		}},
		{"a member does not read and leaves", func(_ *testing.T, s *stage) {
			stalled := s.stalled("stalled")
			_ = s.Broadcast(context.Background(), "host", []byte("owed"))
			synctest.Wait()
			stalled.Cut()
		}},
		{"the room is held", func(_ *testing.T, s *stage) {
			s.stalled("stalled")
			s.stalled("stalled too")
			flooder := s.Join("flooder")
			go func() {
				for range 100 { // or who is held for nobody publishes for ever in no time
					_ = flooder.Conn.Send(context.Background(), make([]byte, 1000))
				}
			}()
		}},
		{"a flush waits", func(t *testing.T, s *stage) {
			s.stalled("stalled")
			_ = s.Broadcast(context.Background(), "host", []byte("owed"))
			ctx, cancel := context.WithCancel(context.Background())
			t.Cleanup(cancel)
			go func() { _ = s.Flush(ctx) }()
		}},
		{"a read blocks", func(_ *testing.T, s *stage) { s.serve("Read") }},
		{"a write blocks", func(_ *testing.T, s *stage) {
			s.serve("Write")("6         sticky")
			_ = s.Broadcast(context.Background(), "host", []byte("owed"))
		}},
		{"closing blocks", func(_ *testing.T, s *stage) {
			send := s.serve("Close")
			send("6         sticky")
			send("not a header")
		}},
		{"the handshake's deadline blocks", func(_ *testing.T, s *stage) { s.serve("SetReadDeadline") }},
		{"a write's deadline blocks", func(_ *testing.T, s *stage) {
			s.serve("SetWriteDeadline")("6         sticky")
			_ = s.Broadcast(context.Background(), "host", []byte("owed"))
		}},
		{"the join hook blocks", func(_ *testing.T, s *stage) { s.DialRaw().SendFrame("stuck on join") }},
		{"the leave hook blocks", func(_ *testing.T, s *stage) {
			r := s.DialRaw()
			r.SendFrame("stuck on leave")
			synctest.Wait()
			r.Cut()
		}},
		{"a shutdown waits", func(_ *testing.T, s *stage) {
			s.serve("Close")("6         sticky")
			go func() { _ = s.Shutdown(context.Background()) }()
		}},
		{"a shutdown waits for a member that does not read", func(_ *testing.T, s *stage) {
			s.stalled("stalled")
			_ = s.Broadcast(context.Background(), "host", []byte("owed"))
			go func() { _ = s.Shutdown(context.Background()) }()
		}},
		{"the server is closed and a close blocks", func(_ *testing.T, s *stage) {
			s.serve("Close")("6         sticky")
			_ = s.Close()
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			watchdog := time.AfterFunc(time.Minute, func() {
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
				debug.SetTraceback("none")
				panic("the bubble's clock stands: somebody waits for a lock while " + c.name)
			})
			defer watchdog.Stop()
			synctest.Test(t, func(t *testing.T) {
				letGo := make(chan struct{})
				s := &stage{letGo: letGo}
				s.Server = chatroomtest.NewServer(t,
					chatroom.WithBacklog(20_000), chatroom.WithHandshakeTimeout(-1), chatroom.WithWriteTimeout(24*time.Hour),
					chatroom.WithOnJoin(stuckHook(letGo, "stuck on join")),
					chatroom.WithOnLeave(func(ctx context.Context, m chatroom.Member, _ error) { stuckHook(letGo, "stuck on leave")(ctx, m) }))
				s.stalled = func(name string) *chatroomtest.Raw {
					r := s.DialRaw()
					r.SendFrame(name)
					synctest.Wait()
					return r
				}
				s.serve = func(sticks ...string) func(string) {
					sticky := &stickyConn{sticks: make(map[string]bool), letGo: letGo}
					for _, call := range sticks {
						sticky.sticks[call] = true
					}
					l := chatroomtest.NewListener()
					near, err := l.DialContext(context.Background(), "", "")
					require.NoError(t, err)
					sticky.Conn, err = l.Accept()
					require.NoError(t, err)
					t.Cleanup(func() { _ = near.Close(); _ = l.Close() })
					go func() { _ = s.ServeConn(context.Background(), sticky) }()
					return func(bytes string) {
						go func() { _, _ = near.Write([]byte(bytes)) }()
						synctest.Wait()
					}
				}
				c.setUp(t, s)
				synctest.Wait()
				useServer(t, s.Server)
				close(letGo)
			})
		})
	}
}

// useServer calls all that a server has, and lets an hour pass between.
func useServer(t *testing.T, s *chatroomtest.Server) {
	t.Helper()
	hour := func(what string, do func()) {
		start := time.Now()
		go do() // it may wait, and ends with the server
		time.Sleep(time.Hour)
		assert.GreaterOrEqual(t, time.Since(start), time.Hour, what)
	}
	hour("Members", func() { _ = s.Members() })
	hour("Stats", func() { _ = s.Stats() })
	hour("Broadcast", func() { _ = s.Broadcast(context.Background(), "host", []byte("hello")) })
	hour("Flush", func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.Flush(ctx)
	})
	hour("a join and a message", func() {
		nc, err := s.Listener.DialContext(context.Background(), "", "")
		if err != nil {
			return // the server is ending
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		_, _ = nc.Write(chatroom.AppendFrame(nil, []byte("visitor")))
		_, _ = nc.Write(chatroom.AppendFrame(nil, fmt.Append(nil, "hello")))
	})
	hour("Shutdown", func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.Shutdown(ctx)
	})
	hour("Close", func() { _ = s.Close() })
}

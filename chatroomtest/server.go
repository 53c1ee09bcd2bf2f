package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"example.com/chatroom"
)

// A DialFunc connects to a server. [net.Dialer.DialContext] and
// [Listener.DialContext] are such functions.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// A Server is a running [chatroom.Server], reached in memory. Its methods fail
// the test they were made for, and must be called on that test's goroutine.
type Server struct {
	*chatroom.Server

	// Listener is what the server serves, or nil if it was made by
	// [NewServerOn].
	Listener *Listener

	// Fixed after construction.
	tb     testing.TB
	addr   net.Addr
	dial   DialFunc
	bubble bool       // whether this is a synctest bubble
	served chan error // what Serve returned

	// Owned by the test's goroutine.
	opened []func() error // closes what was connected
	links  int            // made by DialLink

	// mu guards the fields below.
	mu      sync.Mutex
	joined  []chatroom.Member    // told by the join hook and not claimed by a Join
	left    []leave              // told by the leave hook
	here    []chatroom.Member    // told by the join hook and not yet by the leave hook
	ended   map[string]error     // what ServeConn returned, by the remote address
	rooms   map[[2]string]string // for which room who connects from an address by a name asks
	changed chan struct{}        // closed and replaced when any of them changes
}

type leave struct {
	member  chatroom.Member
	reason  error
	claimed bool // by a WaitLeave
}

// NewServer returns a server that serves a [Listener] in memory. It is shut down
// by tb.Cleanup, after the clients that it made are closed; the test fails if
// anything of the server is left running after that.
//
// Hooks among opts run before the harness's own, so [Server.Join] returns when they
// have.
//
// Inside a [testing/synctest] bubble call it inside the bubble, with the bubble's T.
func NewServer(tb testing.TB, opts ...chatroom.ServerOption) *Server {
	tb.Helper()
	l := NewListener()
	s := NewServerOn(tb, l, l.DialContext, opts...)
	s.Listener = l
	return s
}

// NewServerOn is [NewServer] on a listener of the caller's, such as a Unix
// socket, which the server closes. Its clients connect with dial, which is
// called with the network and the address of l.Addr.
func NewServerOn(tb testing.TB, l net.Listener, dial DialFunc, opts ...chatroom.ServerOption) *Server {
	tb.Helper()
	s := &Server{
		tb:      tb,
		addr:    l.Addr(),
		dial:    dial,
		bubble:  inBubble(),
		served:  make(chan error, 1),
		ended:   make(map[string]error),
		rooms:   make(map[[2]string]string),
		changed: make(chan struct{}),
	}
	s.Server = chatroom.NewServer(slices.Concat(
		[]chatroom.ServerOption{chatroom.WithLogger(slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelError}))), chatroom.WithAdmit(s.onAdmit)},
		opts,
		[]chatroom.ServerOption{chatroom.WithOnJoin(s.onJoin), chatroom.WithOnLeave(s.onLeave)},
	)...)
	tb.Cleanup(s.cleanup)
	go func() { s.served <- s.Serve(&attendedListener{l, s}) }() // ends with the server; cleanup waits for it
	return s
}

// An attendedListener serves its connections itself, to learn why each has ended.
type attendedListener struct {
	net.Listener
	s *Server
}

func (l *attendedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		go l.s.attend(nc) // ends with the connection, which ends with the server
	}
}

// attend serves nc and keeps why it has ended.
func (s *Server) attend(nc net.Conn) {
	err := s.ServeConn(context.Background(), nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[nc.RemoteAddr().String()] = err
	s.notifyLocked()
}

// onAdmit puts who JoinRoom joins into its room, before the program's own hooks.
func (s *Server) onAdmit(_ context.Context, j *chatroom.Join) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{j.Conn.RemoteAddr().String(), j.Name}
	j.Room = s.rooms[key]
	delete(s.rooms, key) // addresses of Unix sockets are all the same
	return nil
}

func (s *Server) onJoin(_ context.Context, m chatroom.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined = append(s.joined, m)
	s.here = append(s.here, m)
	s.notifyLocked()
}

func (s *Server) onLeave(_ context.Context, m chatroom.Member, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, leave{member: m, reason: reason})
	s.here = slices.DeleteFunc(s.here, func(other chatroom.Member) bool { return other.ID == m.ID })
	s.notifyLocked()
}

// notifyLocked wakes who waits for a change. s.mu must be held.
func (s *Server) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) cleanup() {
	s.tb.Helper()
	for _, close := range slices.Backward(s.opened) {
		_ = close() // the test may have closed it, or found it broken, already
	}
	ctx, cancel := s.timeout()
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.tb.Errorf("chatroomtest: the server did not end (%v): %d connections are left; whose leave has not been told: %s; the goroutines of servers here:\n\n%s",
			err, s.Stats().Connections, quoted(s.namesHere()), stacks())
		return // Serve has ended, and the rest has been told to
	}
	select {
	case err := <-s.served:
		if !errors.Is(err, chatroom.ErrServerClosed) {
			s.tb.Errorf("chatroomtest: Serve: want %v, got %v", chatroom.ErrServerClosed, err)
		}
	case <-ctx.Done():
		s.tb.Errorf("chatroomtest: Serve did not return\n%s", stacks())
	}
}

// Join connects a client named name, and returns once its room lists it and all
// join hooks have returned: no message published after it can miss the client.
// It fails the test if the server turns the client away.
//
// A message that arrives while Join waits is read, and is the first that the Client
// receives: a member that does not read has taken one.
//
// The client is closed by tb.Cleanup. [chatroom.WithDialer] has no effect.
func (s *Server) Join(name string, opts ...chatroom.DialOption) *Client {
	s.tb.Helper()
	return s.JoinConn(s.connect(), name, opts...)
}

// JoinRoom is [Server.Join] into a room, unless a hook of the program's says otherwise.
func (s *Server) JoinRoom(room, name string, opts ...chatroom.DialOption) *Client {
	s.tb.Helper()
	nc := s.connect()
	s.askForRoom(nc.LocalAddr(), name, room)
	return s.JoinConn(nc, name, opts...)
}

// askForRoom has who connects from addr as name join a room.
func (s *Server) askForRoom(addr net.Addr, name, room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms[[2]string{addr.String(), name}] = room
}

// JoinConn is [Server.Join] over a connection that the caller made, such as a [Link],
// or one from a chosen address ([Listener.DialFrom]). The client closes it.
func (s *Server) JoinConn(nc net.Conn, name string, opts ...chatroom.DialOption) *Client {
	s.tb.Helper()
	s.checkBubble()
	ctx, cancel := s.timeout()
	defer cancel()
	cc, err := chatroom.NewConn(ctx, nc, name, opts...)
	if err != nil {
		s.fail(fmt.Sprintf("join as %q", name), "%v%s", err, s.whyEnded(nc.LocalAddr()))
	}
	s.opened = append(s.opened, cc.Close)
	c := &Client{Conn: cc, s: s, nc: nc}
	c.Member = c.awaitJoin(ctx, name)
	return c
}

// Refusal connects as name, in memory whatever the server's listener, and returns
// why the room does not let it in: the error of [chatroom.Server.ServeConn], which
// matches [chatroom.ErrNameRejected] if it is for the name. It fails the test if the
// room lets it in.
func (s *Server) Refusal(name string) error {
	s.tb.Helper()
	s.checkBubble()
	ctx, cancel := s.timeout()
	defer cancel()
	near, far := newPipe(Addr(network+":refused"), Addr(network))
	defer func() { _ = near.Close() }() // a pipe's never fails
	served := make(chan error, 1)
	go func() { served <- s.ServeConn(ctx, far) }()                            // ends with near, or ctx
	go func() { _, _ = near.Write(chatroom.AppendFrame(nil, []byte(name))) }() // ends with near
	go func() { _, _ = io.Copy(io.Discard, near) }()                           // so does this; a hook may write
	for {
		changed := s.change()
		if _, ok := s.claimJoin(name, near.LocalAddr()); ok {
			s.fail(fmt.Sprintf("join as %q", name), "want it refused, but it is let in")
		}
		select {
		case err := <-served:
			return err
		case <-changed:
		}
	}
}

// DialLink connects to the server without a word, in memory whatever the server's
// listener, by a link of the size that [NewLink] takes. The server has its
// [Link.Peer]. It is closed by tb.Cleanup.
//
//	link := s.DialLink(0)
//	alice := s.JoinConn(link, "alice")
//	link.StallReads() // alice hangs
func (s *Server) DialLink(size int) *Link {
	s.tb.Helper()
	s.checkBubble()
	s.links++
	near, far := newLink(size, Addr(fmt.Sprintf("%s:link %d", network, s.links)), Addr(network))
	s.closeAtEnd(near)
	go s.attend(far) // ends with the connection, which ends with the server
	return near
}

// DialRaw connects without a word: the test writes and reads the bytes. The
// connection is closed by tb.Cleanup.
func (s *Server) DialRaw() *Raw {
	s.tb.Helper()
	return s.RawConn(s.connect())
}

// RawConn is [Server.DialRaw] over a connection to the server that the caller made.
func (s *Server) RawConn(nc net.Conn) *Raw { return &Raw{Conn: s.closeAtEnd(nc), s: s} }

func (s *Server) closeAtEnd(nc net.Conn) net.Conn {
	s.opened = append(s.opened, nc.Close)
	return nc
}

func (s *Server) connect() net.Conn {
	s.tb.Helper()
	s.checkBubble()
	ctx, cancel := s.timeout()
	defer cancel()
	nc, err := s.dial(ctx, s.addr.Network(), s.addr.String())
	if err != nil {
		s.tb.Fatalf("chatroomtest: connect: %v", err)
	}
	return nc
}

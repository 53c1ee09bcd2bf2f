package chatroomtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

const (
	// hangTimeout bounds every wait outside a bubble. It is not a measure of
	// anything: a test that meets it has hung.
	hangTimeout = 10 * time.Second

	// bubbleTimeout is the same for the fake clock of a bubble, which gets there
	// only when nothing else is left to happen.
	bubbleTimeout = 24 * time.Hour

	// quietWindow is how long WantNothing listens outside a bubble.
	quietWindow = 50 * time.Millisecond
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
	bubble bool           // whether this is a synctest bubble
	served chan error     // what Serve returned
	opened []func() error // closes what Join and Raw made; owned by the test's goroutine

	// mu guards the fields below.
	mu      sync.Mutex
	joined  []chatroom.Member // told by the join hook and not claimed by a Join
	left    []leave           // told by the leave hook and not claimed by WaitLeave
	here    []chatroom.Member // told by the join hook and not yet by the leave hook
	ended   map[string]error  // what ServeConn returned, by the remote address
	changed chan struct{}     // closed and replaced when any of them changes
}

type leave struct {
	member chatroom.Member
	reason error
}

// NewServer returns a server that serves a [Listener] in memory. It is shut down
// by tb.Cleanup, after the clients that it made are closed; the test fails if
// anything of the server is left running after that.
//
// Options are the real server's, and [WithServer]. Hooks among them run before the
// harness's own, so [Server.Join] returns when they have.
//
// Inside a [testing/synctest] bubble call it inside the bubble, with the
// bubble's T, while nothing in the bubble waits for real I/O.
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
		changed: make(chan struct{}),
	}
	s.Server = newChatroom(slices.Concat(
		[]chatroom.ServerOption{chatroom.WithLogger(slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelError})))},
		opts,
		[]chatroom.ServerOption{chatroom.WithOnJoin(s.onJoin), chatroom.WithOnLeave(s.onLeave)},
	))
	tb.Cleanup(s.cleanup)
	go func() { s.served <- s.Serve(&attendedListener{l, s}) }() // ends with the server; cleanup waits for it
	return s
}

// An attendedListener serves its connections itself, to learn from ServeConn why
// each has ended. What Serve gets of it are errors.
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

// whyEnded returns why the connection from addr has ended, or nil if it has not.
func (s *Server) whyEnded(addr net.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[addr.String()]
}

// A serverFunc is what WithServer returns. To any other server it means nothing.
type serverFunc struct {
	chatroom.ServerOption
	set func(*chatroom.Server)
}

// WithServer has set called with the server before it serves. It is for hooks
// that need the server where the test does not make it, as with [RunScripts]:
//
//	var room *chatroom.Server
//	chatroomtest.RunScripts(t, os.DirFS("testdata"), "*.txt",
//		chatroomtest.WithServer(func(s *chatroom.Server) { room = s }),
//		chatroom.WithOnJoin(func(m chatroom.Member) { greet(room, m) }))
//
// It is an option of this package's servers: to [chatroom.NewServer] it means
// nothing. The server belongs to the test, which ends it.
func WithServer(set func(*chatroom.Server)) chatroom.ServerOption {
	return serverFunc{chatroom.WithOnJoin(nil), set}
}

// newChatroom returns a server that does not serve yet.
func newChatroom(opts []chatroom.ServerOption) *chatroom.Server {
	s := chatroom.NewServer(opts...)
	for _, opt := range opts {
		if f, ok := opt.(serverFunc); ok {
			f.set(s)
		}
	}
	return s
}

// inBubble reports whether the caller runs inside a synctest bubble, which only
// the panic of synctest.Wait tells.
func inBubble() (in bool) {
	defer func() {
		if v := recover(); v != nil {
			in = !strings.Contains(fmt.Sprint(v), "not in a bubble")
		}
	}()
	synctest.Wait()
	return true
}

func (s *Server) onJoin(m chatroom.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined = append(s.joined, m)
	s.here = append(s.here, m)
	s.notifyLocked()
}

func (s *Server) onLeave(m chatroom.Member, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, leave{m, reason})
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
			err, s.Stats().Connections, s.namesHere(), serverStacks())
		return // Serve has ended, and the rest has been told to
	}
	select {
	case err := <-s.served:
		if !errors.Is(err, chatroom.ErrServerClosed) {
			s.tb.Errorf("chatroomtest: Serve: want %v, got %v", chatroom.ErrServerClosed, err)
		}
	case <-ctx.Done():
		s.tb.Errorf("chatroomtest: Serve did not return\n%s", serverStacks())
	}
}

// timeout returns a context that ends when the test must have hung.
func (s *Server) timeout() (context.Context, context.CancelFunc) {
	d := hangTimeout
	if s.bubble {
		d = bubbleTimeout
	}
	return context.WithTimeout(context.Background(), d)
}

// guard does one blocking operation on nc, and closes nc when the test must have
// hung; the error is then context.DeadlineExceeded.
func (s *Server) guard(nc net.Conn, op func() error) error {
	ctx, cancel := s.timeout()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	err := op()
	if !stop() {
		return ctx.Err()
	}
	return err
}

// Join connects a client named name, and returns once the room lists it and all
// join hooks have returned: no message published after it can miss the client.
// It fails the test if the server turns the client away.
//
// A message that arrives while Join waits is read, and is the first that the
// Client receives. To test a member that does not read, count on one more.
//
// The client is closed by tb.Cleanup. [chatroom.WithDialer] has no effect; see
// [Server.JoinConn].
func (s *Server) Join(name string, opts ...chatroom.DialOption) *Client {
	s.tb.Helper()
	return s.JoinConn(s.connect(), name, opts...)
}

// JoinConn is [Server.Join] over a connection to the server that the caller made,
// for one with a chosen address ([Listener.DialFrom]) or with faults. The client
// closes it.
func (s *Server) JoinConn(nc net.Conn, name string, opts ...chatroom.DialOption) *Client {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	cc, err := chatroom.NewConn(ctx, nc, name, opts...)
	if err != nil {
		s.tb.Fatalf("chatroomtest: join as %q: %v", name, err)
	}
	s.opened = append(s.opened, cc.Close)
	c := &Client{Conn: cc, s: s, nc: nc}
	c.Member = c.awaitJoin(ctx, name)
	return c
}

// WantRefused connects as name, in memory whatever the server's listener, and
// fails the test if the room lets it in. It returns why not, the error of
// [chatroom.Server.ServeConn], which matches [chatroom.ErrNameRejected] if it is
// for the name.
func (s *Server) WantRefused(name string) error {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	near, far := newPipe(0, Addr(network+":refused"), Addr(network))
	defer func() { _ = near.Close() }() // a pipe's never fails
	served := make(chan error, 1)
	go func() { served <- s.ServeConn(ctx, far) }()                            // ends with near, or ctx
	go func() { _, _ = near.Write(chatroom.AppendFrame(nil, []byte(name))) }() // ends with near
	for {
		changed := s.change()
		if _, ok := s.claimJoin(name, near.LocalAddr()); ok {
			s.tb.Fatalf("chatroomtest: want %q refused, but it is let in; in the room: %s", name, s.names())
		}
		select {
		case err := <-served:
			return err
		case <-changed:
		}
	}
}

// Raw connects without a word: the test writes and reads the bytes. The
// connection is closed by tb.Cleanup.
func (s *Server) Raw() *Raw {
	s.tb.Helper()
	return s.RawConn(s.connect())
}

// RawConn is [Server.Raw] over a connection to the server that the caller made, as
// for [Server.JoinConn]. It is closed by tb.Cleanup.
func (s *Server) RawConn(nc net.Conn) *Raw {
	s.opened = append(s.opened, nc.Close)
	return &Raw{Conn: nc, s: s}
}

// Dial connects to the server without a word, for a connection that is to have
// faults:
//
//	alice := s.JoinConn(chatroomtest.Slice(s.Dial(), 1), "alice")
//
// It is closed by tb.Cleanup, if nobody has closed it by then.
func (s *Server) Dial() net.Conn {
	s.tb.Helper()
	nc := s.connect()
	s.opened = append(s.opened, nc.Close)
	return nc
}

func (s *Server) connect() net.Conn {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	nc, err := s.dial(ctx, s.addr.Network(), s.addr.String())
	if err != nil {
		s.tb.Fatalf("chatroomtest: connect: %v", err)
	}
	return nc
}

// claimJoin takes the first unclaimed join of name from addr.
func (s *Server) claimJoin(name string, addr net.Addr) (chatroom.Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.joined {
		if m.Name == name && sameAddr(m.RemoteAddr, addr) {
			s.joined = slices.Delete(s.joined, i, i+1)
			return m, true
		}
	}
	return chatroom.Member{}, false
}

// sameAddr reports whether a and b may be the address of one connection; those
// of Unix sockets are mostly empty.
func sameAddr(a, b net.Addr) bool {
	x, y := a.String(), b.String()
	return x == y || strings.Trim(x, "@") == "" || strings.Trim(y, "@") == ""
}

func (s *Server) claimLeave(name string) (leave, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.left {
		if l.member.Name == name {
			s.left = slices.Delete(s.left, i, i+1)
			return l, true
		}
	}
	return leave{}, false
}

// change returns a channel that is closed at the next join or leave.
func (s *Server) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// WaitLeave waits until a member named name has left, and returns the reason
// that leave hooks are told: nil for a clean goodbye. Each leave is returned
// once, the earliest first, also one that happened before the call.
func (s *Server) WaitLeave(name string) error {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	for {
		changed := s.change()
		if l, ok := s.claimLeave(name); ok {
			return l.reason
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.tb.Fatalf("chatroomtest: want %q to leave, but it did not; in the room: %s", name, s.names())
		}
	}
}

// WantMembers waits until the room lists members of exactly these names, in the
// order of joining, and fails the test if it comes to rest otherwise.
func (s *Server) WantMembers(names ...string) {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	for {
		changed := s.change()
		if slices.EqualFunc(s.Members(), names, func(m chatroom.Member, name string) bool { return m.Name == name }) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.tb.Fatalf("chatroomtest: want members %s, got %s, and nobody comes or goes", quoted(names), s.names())
		}
	}
}

// WaitWritten waits until all that was published before the call has been
// written to the members' connections. In memory, where connections have no
// buffers, that is until they have read it.
func (s *Server) WaitWritten() {
	s.tb.Helper()
	ctx, cancel := s.timeout()
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		s.tb.Fatalf("chatroomtest: not all is written: %d bytes are owed; in the room: %s", s.Stats().Backlog, s.names())
	}
}

// names lists the members for a failure, and who has left before the server's end
// without a goodbye.
func (s *Server) names() string {
	var names []string
	for _, m := range s.Members() {
		names = append(names, m.Name)
	}
	text := quoted(names)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.left {
		if l.reason != nil && !errors.Is(l.reason, chatroom.ErrServerClosed) {
			text += fmt.Sprintf("; %q has left: %v", l.member.Name, l.reason)
		}
	}
	return text
}

// namesHere lists those whose leave hooks have not all returned.
func (s *Server) namesHere() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, m := range s.here {
		names = append(names, m.Name)
	}
	return quoted(names)
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return fmt.Sprintf("%q", names)
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// serverStacks returns the stacks of goroutines that servers are in, of the caller's
// bubble only if it is in one.
func serverStacks() string {
	own, _, _ := strings.Cut(stacks(), "\n") // the caller's is the first
	bubble := bubbleOf.FindString(own)
	var servers []string
	for _, g := range strings.Split(stacks(), "\n\n")[1:] {
		head, _, _ := strings.Cut(g, "\n")
		if bubbleOf.FindString(head) == bubble && strings.Contains(g, serverPackage+".") {
			servers = append(servers, g)
		}
	}
	return strings.Join(servers, "\n\n")
}

// serverPackage is the path of package chatroom.
var serverPackage = reflect.TypeFor[chatroom.Server]().PkgPath()

// bubbleOf finds the bubble in the first line of a goroutine's stack.
var bubbleOf = regexp.MustCompile(`synctest bubble \d+`)

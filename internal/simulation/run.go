package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

var errRefused = errors.New("not this name")

// A simulation is one run of a history. It happens on the goroutine that calls
// run, inside a bubble, but for the hooks.
type simulation struct {
	// Fixed after construction.
	cfg      config
	steps    []step
	server   *chatroom.Server
	listener *listener
	start    time.Time
	trace    *strings.Builder // nil if nobody reads it

	// Owned by the run.
	clients  []*client // by number less two
	observer *client   // reads everything, and so knows the order
	program  *client   // what the server itself broadcasts
	log      []logged
	widest   int  // the longest message so far
	spent    int  // see spendable
	ending   bool // the server's end has begun
	cutShort bool // and not gracefully
	held     heldFacts
	wg       sync.WaitGroup // what run has started
	at       int            // index of the step
	failed   error

	// mu guards the fields below, and those of clients that say so. It is never
	// held while waiting.
	mu       sync.Mutex
	byAddr   map[string]*client
	strange  string // what a hook was told that cannot be
	serveErr error
	ends     []endFacts
}

// endFacts is what came of one Shutdown.
type endFacts struct {
	err   error
	limit time.Duration
	took  time.Duration
}

// names of members. Those that do not tell them apart are on purpose.
var names = []string{
	"ann", "bob", "ann", "Ünï", "a rather long name of a member", // members
	"jinx", // whose join hook panics
	"lee",  // whose leave hook panics
	"hal",  // whose join hook takes a second
	"no",   // is refused
	"",     // as well
}

func newSimulation(h history, trace *strings.Builder) *simulation {
	s := &simulation{
		cfg:      h.config(),
		steps:    h.steps(),
		listener: newListener(maxSteps + 1), // more than ever connect
		start:    time.Now(),
		trace:    trace,
		byAddr:   make(map[string]*client),
	}
	s.server = chatroom.NewServer(
		chatroom.WithBacklog(s.cfg.backlog),
		chatroom.WithMaxMessage(s.cfg.maxMessage),
		chatroom.WithWriteTimeout(s.cfg.write),
		chatroom.WithIdleTimeout(s.cfg.idle),
		chatroom.WithHandshakeTimeout(s.cfg.handshake),
		chatroom.WithNameRule(func(name string) error {
			if name == "no" {
				return errRefused
			}
			return chatroom.CheckName(name)
		}),
		chatroom.WithOnJoin(s.onJoin),
		chatroom.WithOnLeave(s.onLeave),
	)
	s.program = &client{name: "host"}
	return s
}

// run does the steps and returns what was wrong, or nil. Nothing of it is left
// when it returns.
func (s *simulation) run() error {
	s.wg.Go(func() {
		err := s.server.Serve(s.listener)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serveErr = err
	})
	s.observer = s.connect("observer", 0)
	s.settle()
	for i, st := range s.steps {
		if s.failed != nil {
			break
		}
		s.at = i
		s.do(st)
		if !st.atOnce {
			s.settle()
		}
	}
	s.finish()
	return s.failed
}

// finish ends the server, whatever has happened, and looks at what is left.
func (s *simulation) finish() {
	s.at = len(s.steps)
	s.settle()
	if s.ending && !s.cutShort {
		time.Sleep(time.Hour) // for a Shutdown to come to its end
		s.settle()
	}
	s.note("the server is closed")
	s.beginEnd(true)
	_ = s.server.Close() // never fails
	synctest.Wait()
	if err := s.server.Shutdown(context.Background()); err != nil {
		s.fail("Shutdown after Close to return nil", "%v", err)
	}
	synctest.Wait()
	s.settle()
	s.checkEnd()
	for _, c := range s.all() {
		c.cancel()
		_ = c.link.Close() // which checkEnd has found closed, unless something is wrong
	}
	s.wg.Wait()
}

// settle waits until nothing moves, and holds the server against the model.
func (s *simulation) settle() {
	synctest.Wait()
	if s.failed == nil {
		s.check()
	}
}

// fail notes the first thing that is wrong.
func (s *simulation) fail(want, got string, args ...any) {
	if s.failed != nil {
		return
	}
	s.failed = fmt.Errorf("after step %d, at %v: want %s, got %s", s.at+1, time.Since(s.start), want, fmt.Sprintf(got, args...))
}

// note adds a line to the trace.
func (s *simulation) note(format string, args ...any) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%4d %10v  %s\n", s.at+1, time.Since(s.start), fmt.Sprintf(format, args...))
	}
}

func (s *simulation) all() []*client {
	if s.observer == nil {
		return s.clients
	}
	return append([]*client{s.observer}, s.clients...)
}

// connect opens a connection, and sends the name unless part says how much of
// it to send.
func (s *simulation) connect(name string, options byte) *client {
	now := s.server.Stats()
	c := &client{
		number:  len(s.clients) + 2,
		name:    name,
		opened:  time.Now(),
		lo:      now.Messages,
		loBytes: now.Bytes,
	}
	half := s.cfg.half
	if s.observer == nil {
		c.number, half = 1, false
	}
	if s.ending {
		c.may(cause{is: chatroom.ErrServerClosed})
		c.lossy = true
	}
	c.link = newLink(addr(fmt.Sprintf("%s:%d", network, c.number)), pick(options, 0, 0, 1, 7, 0, 64))
	s.mu.Lock()
	s.byAddr[c.link.remote.String()] = c
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if c.begin(-1); options&0x80 == 0 {
		c.finish(len(c.rest))
	}
	c.link.patient = s.observer == nil
	nc := c.link.conn(half, s.cfg.file)
	if options&0x40 == 0 {
		if !s.listener.offer(nc) {
			if !s.ending {
				s.fail("the server to listen", "its listener closed")
			}
			_ = nc.Close()
			c.dead = true
		}
		return c
	}
	c.viaServe = true
	s.wg.Go(func() {
		err := s.server.ServeConn(ctx, nc)
		s.mu.Lock()
		defer s.mu.Unlock()
		c.served, c.servedBy = true, err
	})
	return c
}

// beginEnd tells the model that the server ends.
func (s *simulation) beginEnd(cutShort bool) {
	s.ending = true
	s.cutShort = s.cutShort || cutShort
	for _, c := range s.all() {
		if !c.dead {
			c.may(cause{is: chatroom.ErrServerClosed}, cause{is: syscall.EPIPE})
			c.lossy = true
		}
	}
}

func (s *simulation) onJoin(m chatroom.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.name != m.Name {
		s.strange = fmt.Sprintf("the join of %v", m)
		return
	}
	c.joined++
	c.id, c.hi = m.ID, s.server.Stats().Messages
	switch m.Name {
	case "jinx":
		panic("the join of a jinx")
	case "hal":
		c.inHook = true
		s.mu.Unlock()
		time.Sleep(time.Second)
		s.mu.Lock()
		c.inHook = false
	}
}

func (s *simulation) onLeave(m chatroom.Member, reason error) {
	st := s.server.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byAddr[m.RemoteAddr.String()]
	if c == nil || c.name != m.Name || c.id != m.ID {
		s.strange = fmt.Sprintf("the leave of %v", m)
		return
	}
	c.left++
	c.reason = reason
	link := c.link.look()
	c.slow = slowFacts{time.Now(), link, int64(st.Bytes - c.loBytes)}
	if !link.closed {
		s.strange = fmt.Sprintf("the leave of %v before its connection was closed", c)
	}
	if m.Name == "lee" {
		panic("the leave of lee")
	}
}

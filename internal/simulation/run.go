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

// A simulation is one run of a history, inside a bubble. All of it happens on the
// goroutine that calls run, except the hooks.
type simulation struct {
	// Fixed after construction.
	cfg    config
	steps  []step
	server *chatroom.Server
	start  time.Time
	trace  *strings.Builder // nil if nobody reads it

	// Owned by the run.
	clients   []*client // by number less two
	observer  *client   // reads everything, and so knows the order
	program   *client   // the sender of the program's messages
	listeners []*listening
	log       []logged
	want      []byte // a buffer for one message that the observer is to receive
	widest    int    // the longest message so far
	spent     int    // see spendable
	ending    bool   // the server's end has begun
	endedAt   time.Time
	cutShort  bool // and not gracefully
	held      heldFacts
	purse     purse
	wg        sync.WaitGroup // the goroutines that run has started
	at        int            // index of the step
	failed    error

	// mu guards the fields below, and those of clients that say so. It is never
	// held while waiting.
	mu         sync.Mutex
	byAddr     map[string]*client
	strange    string       // what a hook was told that cannot be
	broadcasts []*broadcast // by the number in their text
	ends       []endFacts
	ended      bool // the server's end has begun, and the server knows
}

// A listening is one Serve.
type listening struct {
	*listener
	failed bool // it was closed while the server was running

	// Guarded by simulation.mu.
	served bool // Serve has returned
	err    error
}

func newSimulation(h history, trace *strings.Builder) *simulation {
	s := &simulation{
		cfg:     h.config(),
		steps:   h.steps(),
		start:   time.Now(),
		trace:   trace,
		byAddr:  make(map[string]*client),
		program: &client{name: "host"},
	}
	s.server = chatroom.NewServer(
		chatroom.WithBacklog(s.cfg.backlog),
		chatroom.WithMaxMessage(s.cfg.maxMessage),
		chatroom.WithWriteTimeout(s.cfg.write),
		chatroom.WithIdleTimeout(s.cfg.idle),
		chatroom.WithHandshakeTimeout(s.cfg.handshake),
		chatroom.WithFrameTimeout(s.cfg.frame),
		chatroom.WithNameRule(func(name string) error {
			if name == "no" {
				return errRefused
			}
			return chatroom.CheckName(name)
		}),
		chatroom.WithOnJoin(s.onJoin),
		chatroom.WithOnLeave(s.onLeave),
	)
	return s
}

// run does the steps. It returns what was wrong, or nil, when nothing of the
// simulation is left.
func (s *simulation) run() error {
	s.serve()
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

// serve has the server accept from another listener.
func (s *simulation) serve() {
	l := &listening{listener: newListener(maxSteps + 2)} // more than ever connect
	s.listeners = append(s.listeners, l)
	s.wg.Go(func() {
		err := s.server.Serve(l)
		s.mu.Lock()
		defer s.mu.Unlock()
		l.served, l.err = true, err
	})
}

// finish ends the server, whatever has happened before, and checks what is left.
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
	s.serve()                // which comes too late
	time.Sleep(alertTimeout) // for the last words of what was not accepted
	s.settle()
	s.checkEnd()
	for _, c := range s.all() {
		c.cancel()
		_ = stream{c.link}.Close() // which checkEnd has found closed, unless something is wrong
	}
	s.wg.Wait()
}

// sleep lets time pass, slowly while the room is held.
func (s *simulation) sleep(d time.Duration) {
	for range maxLooks {
		synctest.Wait()
		if d <= stillLimit/4 || !s.server.Stats().Held {
			break
		}
		d -= stillLimit / 4
		time.Sleep(stillLimit / 4)
		s.settle()
	}
	time.Sleep(d)
}

// settle waits until nothing moves, and compares the server with the model.
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

// connect opens a connection and sends the name, or, if part says so, only a part
// of it.
func (s *simulation) connect(name string, options byte) *client {
	now := s.server.Stats()
	c := &client{
		number:  len(s.clients) + 2,
		name:    name,
		opened:  time.Now(),
		lo:      now.Messages,
		loBytes: now.Bytes,
	}
	if s.observer == nil {
		c.number = 1
	}
	traits := s.cfg.link(c.number, options)
	if s.observer == nil {
		traits.half = false
		if traits.kind == layeredLink {
			traits.kind = streamLink // the server ends a read below a layer that is overdue
		}
	}
	if s.ending {
		c.may(chatroom.ErrServerClosed)
		c.lossy = true
	}
	c.link = newLink(c.number, traits)
	s.mu.Lock()
	s.byAddr[c.link.remote.String()] = c
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if c.begin(-1); options&0x80 == 0 {
		c.finish(len(c.rest))
	}
	c.link.patient = s.observer == nil
	nc := c.link.conn()
	if options&0x40 == 0 {
		if l := s.listener(c.number); l == nil || !l.offer(nc) {
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

// listener returns one that is open, or nil.
func (s *simulation) listener(number int) *listening {
	var open []*listening
	for _, l := range s.listeners {
		if !l.failed {
			open = append(open, l)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[number%len(open)]
}

// beginEnd tells the model that the server ends.
func (s *simulation) beginEnd(cutShort bool) {
	if !s.ending {
		s.ending, s.endedAt = true, time.Now()
	}
	s.cutShort = s.cutShort || cutShort
	for _, c := range s.all() {
		if !c.dead {
			c.may(chatroom.ErrServerClosed, syscall.EPIPE)
			c.lossy = true
		}
	}
}

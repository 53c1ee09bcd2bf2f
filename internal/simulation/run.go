package simulation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
)

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
	observer  *client   // watches the room ""
	program   *client   // the sender of the program's messages
	listeners []*listening
	rooms     []*room // that there may be
	want      []byte  // a buffer for one message that a watcher is to receive
	widest    int     // the longest message so far
	joins     int     // see maxClients
	spent     int     // see spendable
	ending    bool    // the server's end has begun
	endedAt   time.Time
	cutShort  bool           // and not gracefully
	wg        sync.WaitGroup // the goroutines that run has started
	at        int            // index of the step
	judged    int            // says before this one need not be looked at again
	failed    error

	// mu guards the fields below, and those of clients and rooms that say so. It is
	// never held while waiting.
	mu          sync.Mutex
	clock       int // counts checks, and the beginnings and ends of what matters
	byAddr      map[string]*client
	strange     string // what a hook was told that cannot be, or what a call has not done
	says        []*say // by the number in their text
	kicks       int
	busyAt      time.Time // when the latest hook has ended that takes a while, or the server's end has begun
	ends        []endFacts
	ended       bool // the server's end has begun, and the server knows
	endedByHook bool // a hook has ended the server

	// Of lives that rooms have had. The figures are blurred once such a life has ended
	// without anybody to tell what was published last.
	pastMessages, pastBytes uint64
	blurred                 bool
}

// A listening is one Serve.
type listening struct {
	*listener
	failed bool // it was closed while the server was running

	// Guarded by simulation.mu.
	served bool // Serve has returned
	err    error
}

func newSimulation(_ testing.TB, h history, trace *strings.Builder) *simulation {
	s := &simulation{
		cfg:     h.config(),
		steps:   h.steps(opcodes),
		start:   time.Now(),
		trace:   trace,
		byAddr:  make(map[string]*client),
		program: &client{name: "host"},
	}
	for _, name := range []string{"", "red", "blue"}[:s.cfg.rooms] {
		s.rooms = append(s.rooms, &room{name: name})
	}
	options := []chatroom.ServerOption{
		chatroom.WithBacklog(s.cfg.backlog),
		chatroom.WithMaxMessage(s.cfg.maxMessage),
		chatroom.WithWriteTimeout(s.cfg.write),
		chatroom.WithIdleTimeout(s.cfg.idle),
		chatroom.WithHandshakeTimeout(s.cfg.handshake),
		chatroom.WithFrameTimeout(s.cfg.frame),
		chatroom.WithNameRule(nameRule),
		chatroom.WithAdmit(s.onAdmit),
		chatroom.WithOnJoin(s.onJoin),
		chatroom.WithOnLeave(s.onLeave),
		chatroom.WithHistory(s.cfg.history),
		chatroom.WithMaxMembers(s.cfg.maxMembers),
	}
	if s.cfg.unique {
		options = append(options, chatroom.WithUniqueNames())
	}
	if s.cfg.filters {
		options = append(options, chatroom.WithOnMessage(s.onMessage))
	}
	if s.cfg.ordered {
		options = append(options, chatroom.WithOrder(&identity{}))
	}
	s.server = chatroom.NewServer(options...)
	return s
}

// run does the steps. It returns what was wrong, or nil, when nothing of the
// simulation is left.
func (s *simulation) run() error {
	s.seed()
	s.serve()
	s.observe()
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

func (s *simulation) failure() error { return s.failed }

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
		s.mu.Lock()
		s.busyAt = s.endedAt
		s.mu.Unlock()
	}
	s.cutShort = s.cutShort || cutShort
	for _, c := range s.all() {
		if !c.dead {
			c.may(chatroom.ErrServerClosed, syscall.EPIPE)
			c.lossy = true
		}
	}
}

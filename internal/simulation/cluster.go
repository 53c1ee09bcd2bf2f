package simulation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// RunCluster is [Run] for a cluster: a few servers that share an order.
//
// Its model is another one than that of a single server, and a smaller one. It knows each
// room's one sequence from the first server, which is never cut off, whose members all
// read, and which ends last. On each server somebody who reads everything watches each
// room, and so tells how far that server is. The model then says what each connection
// receives, and what must be in the sequence whenever a server is at rest.
func RunCluster(t *testing.T, seed uint64) {
	t.Helper()
	several(t).report(t, newClusterHistory(seed), fmt.Sprintf("seed %d", seed))
}

// RunClusterHistory is [RunHistory] for a cluster.
func RunClusterHistory(t *testing.T, h []byte) {
	t.Helper()
	several(t).report(t, h, "a history")
}

// several is the kind of history that is the life of a cluster.
func several(t *testing.T) kind {
	return kind{"RunClusterHistory", inBubble(t, newCluster), func(h history) fmt.Stringer { return h.clusterConfig() }}
}

const (
	maxServers = 7
	maxGuests  = 30 // that connect in a history, without those who watch
)

// A cluster is one run of a cluster's history, inside a bubble. All of it happens on the
// goroutine that calls run, except the hooks and what the program says.
type cluster struct {
	// Fixed after construction.
	cfg     clusterConfig
	steps   []step
	order   *chatroomtest.Order
	program *client // the sender of the program's messages
	start   time.Time
	trace   *strings.Builder // nil if nobody reads it

	// Owned by the run.
	nodes     []*node
	sequences []*sequence
	guests    []*guest // by number less one
	want      []byte   // a buffer for one message that is to be published
	joins     int      // see maxGuests
	spent     int      // see spendable
	kicks     int
	farthest  time.Duration // the longest latency so far
	movedAt   time.Time     // when something was last seen to move
	judged    int           // words before this one need not be looked at again
	wg        sync.WaitGroup
	at        int // index of the step
	failed    error

	// mu guards the fields below, and those of servers and guests that say so. It is never
	// held while waiting.
	mu      sync.Mutex
	clock   int // counts checks, and the beginnings and ends of what matters
	byAddr  map[string]*guest
	strange string  // what a hook was told that cannot be
	words   []*word // by the number in their text
}

var _ life = (*cluster)(nil)

func newCluster(tb testing.TB, h history, trace *strings.Builder) *cluster {
	cl := &cluster{
		cfg:     h.clusterConfig(),
		steps:   h.steps(clusterOps),
		order:   chatroomtest.NewOrder(tb),
		program: &client{name: "host"},
		start:   time.Now(),
		movedAt: time.Now(),
		trace:   trace,
		byAddr:  make(map[string]*guest),
	}
	for _, name := range []string{"", "red"}[:cl.cfg.rooms] {
		cl.sequences = append(cl.sequences, &sequence{
			name: name, index: make(map[messageKey]int), lastBegan: make(map[*node]int),
		})
	}
	return cl
}

// run does the steps. It returns what was wrong, or nil, when nothing of the cluster is
// left.
func (cl *cluster) run() error {
	for range cl.cfg.servers {
		cl.enlist()
	}
	cl.settle()
	for i, st := range cl.steps {
		if cl.failed != nil {
			break
		}
		cl.at = i
		cl.do(st)
		if !st.atOnce {
			cl.settle()
		}
	}
	cl.at = len(cl.steps)
	cl.finish()
	return cl.failed
}

// finish brings the cluster to rest, shuts the servers down one after the other, and
// checks what is left.
func (cl *cluster) finish() {
	cl.settle()
	cl.calm()
	for _, n := range cl.nodes[1:] {
		cl.lastWords(n)
	}
	time.Sleep(time.Hour)
	cl.settle()
	cl.lastWords(cl.nodes[0])
	time.Sleep(time.Hour)
	cl.settle()
	for _, n := range cl.nodes {
		_ = n.server.Close() // never fails
		n.end.Close()
	}
	time.Sleep(time.Hour)
	cl.settle()
	for _, g := range cl.guests {
		if !g.dead && cl.failed == nil {
			cl.fail(g.String()+" to have gone with its server", "an open connection")
		}
		_ = stream{g.link}.Close() // which is closed, unless something is wrong
	}
	cl.wg.Wait()
}

// lastWords shuts n down while what its members have just sent is still under way.
func (cl *cluster) lastWords(n *node) {
	for _, g := range cl.guests {
		if g.node == n && !g.watches && !g.dead && g.sends() && cl.failed == nil {
			cl.send(g, 1, minBody)
		}
	}
	cl.settle()
	cl.shutDown(n, 24*time.Hour)
	cl.settle()
}

// calm ends all that is made bad, and waits until the cluster is at rest.
func (cl *cluster) calm() {
	cl.note("all is well again")
	for _, n := range cl.nodes {
		n.stalled, n.refusing = false, false
		n.end.SetAvailable(true)
		n.end.Resume()
	}
	for _, g := range cl.guests {
		if !g.dead {
			g.link.take(unlimited, 0, 0)
		}
	}
	for range 300 {
		time.Sleep(max(10*time.Second, 3*cl.farthest))
		if cl.settle(); cl.failed != nil || cl.isCalm() {
			return
		}
	}
	cl.fail("the cluster to come to rest", "one that does not")
}

// isCalm reports whether every server that has not ended is at rest.
func (cl *cluster) isCalm() bool {
	for _, n := range cl.nodes {
		if n.phase == running && !n.calm || n.phase == ending {
			return false
		}
	}
	return true
}

// settle waits until nothing moves, compares the cluster with the model, and has every
// room watched on every server.
func (cl *cluster) settle() {
	synctest.Wait()
	for cl.failed == nil {
		cl.check()
		if cl.failed != nil || !cl.watch() {
			return
		}
		synctest.Wait()
	}
}

func (cl *cluster) failure() error { return cl.failed }

// fail notes the first thing that is wrong.
func (cl *cluster) fail(want, got string, args ...any) {
	if cl.failed != nil {
		return
	}
	cl.failed = fmt.Errorf("after step %d, at %v: want %s, got %s", cl.at+1, time.Since(cl.start), want, fmt.Sprintf(got, args...))
}

// note adds a line to the trace.
func (cl *cluster) note(format string, args ...any) {
	if cl.trace != nil {
		fmt.Fprintf(cl.trace, "%4d %10v  %s\n", cl.at+1, time.Since(cl.start), fmt.Sprintf(format, args...))
	}
}

// tick moves the clock on, and returns it.
func (cl *cluster) tick() int {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.clock++
	return cl.clock
}

// within returns a context that ends after so long.
func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// serverOptions returns the options of every server.
func (cl *cluster) serverOptions(n *node) []chatroom.ServerOption {
	return []chatroom.ServerOption{
		chatroom.WithOrder(n.end),
		chatroom.WithBacklog(cl.cfg.backlog),
		chatroom.WithMaxMessage(cl.cfg.maxMessage),
		chatroom.WithHistory(cl.cfg.history),
		chatroom.WithAdmit(cl.onAdmit),
		chatroom.WithOnJoin(cl.onJoin),
		chatroom.WithOnLeave(cl.onLeave),
	}
}

package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing/synctest"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// errLost is the reason of those who are disconnected because their server has missed
// messages.
var errLost = errors.New("messages lost")

// A node is one of the servers that share the order.
type node struct {
	// Fixed after construction.
	number   int
	server   *chatroom.Server
	listener *listener
	end      *chatroomtest.OrderEnd
	rooms    []*localRoom // one for each sequence

	// Owned by the run.
	phase    nodePhase
	calm     bool // when nothing moved last, it was at rest
	stalled  bool // it is cut off from the order
	refusing bool // the order takes nothing from it
	losing   bool // it may not have told its members yet that it has missed messages
	lostAt   int  // when it missed some last, on cluster.clock

	// Guarded by cluster.mu.
	refused int       // when the order took nothing from it last, on cluster.clock
	endFact *endFacts // of Shutdown; nil while it has not returned
}

// A nodePhase is a phase of a server's life.
type nodePhase byte

const (
	running nodePhase = iota
	ending            // Shutdown has been called
	settled           // and has returned in time
	crashed           // it was closed, or its Shutdown took too long
)

// A localRoom is a room on one server.
type localRoom struct {
	node     *node
	sequence *sequence
	watcher  *guest // nil while nobody watches

	// What the server has published, as the watchers received it.
	log      []int // indexes in the sequence, ascending
	seenAt   []int // when each was seen, on cluster.clock
	next     int   // the index that comes next, or unknown
	floor    int   // where in log the room began, or what was missed before it begins
	gaps     bool  // something may be missing in log
	replaced bool  // there was another watcher before

	privates, privateBytes int // to one member alone
}

// unknown is not an index.
const unknown = -1

func (n *node) String() string { return fmt.Sprintf("server %d", n.number) }

func (r *localRoom) String() string {
	return fmt.Sprintf("room %q of %v", r.sequence.name, r.node)
}

func (r *localRoom) live() chatroom.Room { return r.node.server.Room(r.sequence.name) }

// isWatched reports whether somebody in the room reads everything. Who watches is
// disconnected only when the server has missed messages.
func (r *localRoom) isWatched() bool {
	return r.watcher != nil && r.watcher.joined > 0 && r.watcher.left == 0 &&
		(r.node.lostAt == 0 || slices.Contains(r.live().Members(), r.watcher.member))
}

// enlist has one server more take part in the order.
func (cl *cluster) enlist() {
	n := &node{number: len(cl.nodes), end: cl.order.NewEnd(), listener: newListener(maxSteps * 4)}
	cl.note("%v takes part", n)
	cl.nodes = append(cl.nodes, n)
	n.server = chatroom.NewServer(cl.serverOptions(n)...)
	for _, q := range cl.sequences {
		r := &localRoom{node: n, sequence: q}
		if len(cl.nodes) > cl.cfg.servers {
			r.next, r.gaps = unknown, true
		}
		n.rooms = append(n.rooms, r)
	}
	cl.wg.Go(func() { _ = n.server.Serve(n.listener) }) // ends with the server
	cl.movedAt = time.Now()
}

// watch has somebody watch each room that nobody watches, and reports whether there was
// one.
func (cl *cluster) watch() (some bool) {
	for _, n := range cl.nodes {
		for _, r := range n.rooms {
			if n.phase != running || r.isWatched() {
				continue
			}
			r.replaced = r.watcher != nil
			traits := cl.traits(len(cl.guests) + 1)
			traits.kind = pick(byte(len(cl.guests)), streamLink, polledLink)
			r.watcher = cl.connect(fmt.Sprintf("%s %d", observer, len(cl.guests)), r, traits)
			r.watcher.watches = true
			some = true
		}
	}
	return some
}

// shutDown shuts n down within a limit. If it is at rest, all that its members have sent
// is owed to those who share the order, and to its own members before they are
// disconnected.
func (cl *cluster) shutDown(n *node, limit time.Duration) {
	if n.phase != running || cl.failed != nil {
		return
	}
	cl.note("%v is shut down within %v", n, limit)
	members := n.server.Members()
	n.phase = ending
	for _, g := range cl.guests {
		if g.node != n || g.dead {
			continue
		}
		g.may(chatroom.ErrServerClosed, syscall.EPIPE)
		if slices.Contains(members, g.member) && g.link.look().inbound == 0 && !n.refusing {
			g.owedAtEnd = len(g.sizes) // else the server may not read, or submit, all of them
		}
	}
	cl.wg.Go(func() {
		ctx, cancel := within(limit)
		defer cancel()
		start := time.Now()
		err := n.server.Shutdown(ctx)
		cl.mu.Lock()
		defer cl.mu.Unlock()
		n.endFact = &endFacts{err, limit, time.Since(start)}
	})
	synctest.Wait() // until the end has begun
	cl.movedAt = time.Now()
}

// crash ends n immediately, and drops what is on its way to the order.
func (cl *cluster) crash(n *node) {
	cl.note("%v crashes", n)
	n.phase = crashed
	for _, g := range cl.guests {
		if g.node == n && !g.dead {
			g.may(chatroom.ErrServerClosed, chatroom.ErrUnavailable, syscall.EPIPE)
			g.lossy = true
		}
	}
	n.end.Close()
	_ = n.server.Close() // never fails
	cl.movedAt = time.Now()
}

// onAdmit sends a connection to the room that it names.
func (cl *cluster) onAdmit(_ context.Context, j *chatroom.Join) error {
	j.Name, j.Room, _ = strings.Cut(j.Name, atRoom)
	return nil
}

func (cl *cluster) onJoin(_ context.Context, m chatroom.Member) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	g := cl.byAddr[m.RemoteAddr.String()]
	if g == nil || g.name != m.Name || m.Room() != g.local.live() {
		cl.strange = fmt.Sprintf("the join of %v", m)
		return
	}
	g.joined++
	g.member = m
}

func (cl *cluster) onLeave(_ context.Context, m chatroom.Member, reason error) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	g := cl.byAddr[m.RemoteAddr.String()]
	if g == nil || g.member != m {
		cl.strange = fmt.Sprintf("the leave of %v", m)
		return
	}
	g.left++
	g.reason = reason
}

package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/chatroom"
)

// A word is a message of a server's program: to one room or all, on all servers, or to one
// member.
type word struct {
	// Fixed once it has begun.
	seq    int // among all words
	size   int
	node   *node
	in     *sequence // nil for all rooms
	to     *guest    // whom alone it is for; nil for everyone
	except []*guest  // whom it is not for, as far as they are members of the server
	limit  time.Duration
	at     time.Time
	began  int  // on cluster.clock
	late   bool // the server's end had begun, or the member had left, before it began

	// Guarded by cluster.mu.
	got   bool // the one whom it is for has received it
	ended int  // when it returned, on cluster.clock; zero if it has not
	err   error
	took  time.Duration
}

func (w *word) String() string {
	switch {
	case w.to != nil:
		return fmt.Sprintf("private text %d, of %d bytes, to %v", w.seq, w.size, w.to)
	case w.in != nil:
		return fmt.Sprintf("broadcast %d of %v, of %d bytes, to room %q", w.seq, w.node, w.size, w.in.name)
	}
	return fmt.Sprintf("broadcast %d of %v, of %d bytes,", w.seq, w.node, w.size)
}

// say has the program say w, on a goroutine that ends when that is done.
func (cl *cluster) say(w *word) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.clock++
	w.seq, w.began, w.at = len(cl.words), cl.clock, time.Now()
	w.late = w.node.phase != running || w.to != nil && (w.to.left > 0 || w.to.kickedAt > 0)
	body := cl.program.appendBody(nil, w.seq, w.size)
	cl.words = append(cl.words, w)
	var except []chatroom.Member
	for _, g := range w.except {
		except = append(except, g.member)
	}
	var to chatroom.Member
	if w.to != nil {
		to = w.to.member
		w.to.told = append(w.to.told, w)
	}
	cl.note("%v says %v within %v, not to %v", w.node, w, w.limit, w.except)
	cl.wg.Go(func() {
		ctx, cancel := within(w.limit)
		defer cancel()
		var err error
		switch name := cl.program.name; {
		case w.to != nil:
			err = to.Send(ctx, name, body)
		case w.in != nil:
			err = w.node.server.Room(w.in.name).Broadcast(ctx, name, body, except...)
		default:
			err = w.node.server.Broadcast(ctx, name, body, except...)
		}
		cl.mu.Lock()
		defer cl.mu.Unlock()
		cl.clock++
		w.ended, w.err, w.took = cl.clock, err, time.Since(w.at)
		if w.to != nil && err == nil {
			w.to.local.privates++
			w.to.local.privateBytes += len(cl.program.appendUnit(nil, w.seq, w.size))
		}
	})
}

// flush checks that Flush of n returns when all that its program has said by then is
// published there and written, or when its time is up.
func (cl *cluster) flush(n *node, limit time.Duration) {
	if cl.settle(); cl.failed != nil {
		return
	}
	cl.note("%v is flushed, for up to %v", n, limit)
	var said []*word
	cl.mu.Lock()
	for _, w := range cl.words {
		if w.node == n && w.to == nil && w.ended > 0 && w.err == nil {
			said = append(said, w)
		}
	}
	calm := n.calm && !slices.ContainsFunc(cl.guests, func(g *guest) bool { return g.node == n && g.slow })
	cl.mu.Unlock()
	ctx, cancel := within(limit)
	defer cancel()
	start := time.Now()
	err := n.server.Flush(ctx)
	switch {
	case err != nil && (calm || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != limit):
		cl.fail("Flush of "+n.String()+" to return nil, or its context's error when that has ended", "%v after %v", err, time.Since(start))
	case err == nil:
		cl.settle()
		cl.checkFlushed(n, said)
	}
}

// checkFlushed checks that n has published words, unless it has missed messages.
func (cl *cluster) checkFlushed(n *node, words []*word) {
	for _, w := range words {
		for _, r := range n.rooms {
			i, there := r.sequence.index[messageKey{0, w.seq}]
			if _, ok := slices.BinarySearch(r.log, i); (w.in == nil || w.in == r.sequence) && !r.gaps && (!there || !ok) {
				cl.fail(fmt.Sprintf("%v to be published in %v before Flush returns", w, r), "nothing")
			}
		}
	}
}

// checkWords compares what the program was told of its messages with what was published.
// cl.mu must be held.
func (cl *cluster) checkWords() {
	for _, w := range cl.words[cl.judged:] {
		if cl.failed == nil {
			cl.checkWord(w)
		}
	}
	for cl.judged < len(cl.words) && cl.words[cl.judged].isOver(cl) {
		cl.judged++
	}
}

// isOver reports whether w has been judged for good. cl.mu must be held.
func (w *word) isOver(cl *cluster) bool {
	return w.ended > 0 && (w.err != nil || w.to != nil || w.node.phase != running || cl.missing(w) == nil)
}

func (cl *cluster) checkWord(w *word) {
	n := w.node
	overdue := errors.Is(w.err, context.DeadlineExceeded) && w.took == w.limit
	switch {
	case w.ended == 0 && (n.calm || time.Since(w.at) >= w.limit):
		cl.fail(w.String()+" to have returned", "nothing after %v", time.Since(w.at))
	case w.ended == 0:
	case w.err == nil && w.late:
		cl.fail(w.String()+" to fail, since the server had ended or the member had left", "no error")
	case w.err == nil:
		if q := cl.missing(w); q != nil && w.to == nil && (n.calm || n.phase == settled) {
			cl.fail(fmt.Sprintf("%v to be published in room %q", w, q.name), "nothing")
		}
	case cl.missing(w) != nil && !w.got && (overdue ||
		errors.Is(w.err, chatroom.ErrUnavailable) && w.to == nil && (n.refusing || n.refused > w.began || n.phase == crashed) ||
		errors.Is(w.err, chatroom.ErrMemberGone) && w.to != nil && (w.to.left > 0 || w.to.link.look().closing || w.to.kickedAt > 0) ||
		errors.Is(w.err, chatroom.ErrServerClosed) && n.phase != running):
	default:
		cl.fail(w.String()+" to be published, or to fail for a reason, and then to be published nowhere", "%v after %v, of %v; published: %v",
			w.err, w.took, w.limit, cl.missing(w) == nil)
	}
}

// missing returns a room in which w is not published though it is for it, or nil.
func (cl *cluster) missing(w *word) *sequence {
	for _, q := range cl.sequences {
		if _, there := q.index[messageKey{0, w.seq}]; (w.in == nil || w.in == q) && !there {
			return q
		}
	}
	return nil
}

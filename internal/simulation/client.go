package simulation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.com/chatroom"
)

// minBody is the length of a message that only says which it is: whose, by the
// connection's number, and which of those.
const minBody = len("000.00000")

// letters fill messages; where they begin says which message it is.
const letters = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"

// A client is one simulated connection, as the history has made it and as the
// server has told of it.
type client struct {
	// Fixed after construction.
	number   int
	name     string
	link     *link
	opened   time.Time
	viaServe bool   // it is served by ServeConn
	lo       uint64 // messages published before it connected
	loBytes  uint64 // and their bytes
	cancel   context.CancelFunc

	// What the client has done. Owned by the run.
	sizes      []int     // of the messages that it has sent whole
	rest       []byte    // what is unsent of an unfinished frame
	restSize   int       // the size of its message, or -1 for the name
	named      bool      // the name is sent whole
	over       bool      // it sends no more
	eagerSince time.Time // when it last began to take whatever comes
	lossy      bool      // what the server has not published by now may be lost
	loose      bool      // it may have been behind
	causes     causes
	ends       bool // one of the causes must end it

	// What the server has told. Guarded by simulation.mu.
	joined, left int // times
	inHook       bool
	id           uint64
	hi           uint64 // messages published when it had joined
	reason       error
	slow         slowFacts
	served       bool // ServeConn has returned
	servedBy     error

	// What the model has worked out.
	published int // of sizes, in the log
	next      int // index in the log of what it receives next
	resolved  bool
	got       []byte        // received, and not yet a whole message
	settled   int64         // bytes written to it when last nothing moved and it was connected
	dead      bool          // judged for the last time
	dueSince  time.Time     // since when it must have ended and has not, if it may
	taken     int64         // bytes, when last looked at
	waitedFor time.Duration // of purse.spent, what may have been for it
}

// causes are reasons why a connection may have ended; nil is a clean goodbye.
type causes []error

func (cs causes) String() string {
	var texts []string
	for _, c := range cs {
		texts = append(texts, errorText(c))
	}
	return strings.Join(texts, ", or ")
}

// slowFacts is what tells whether a member was slow when it left.
type slowFacts struct {
	at    time.Time
	link  linkState
	bytes int64 // published since it connected
}

func (c *client) String() string { return fmt.Sprintf("#%d %q", c.number, c.name) }

// appendBody appends a message's text, which nothing but its number, its sender
// and its size decides.
func (c *client) appendBody(b []byte, seq, size int) []byte {
	b = fmt.Appendf(b, "%03d.%05d", c.number, seq)
	for n := size - minBody; n > 0; {
		part := letters[seq%26:][:min(n, 26)]
		b = append(b, part...)
		n -= len(part)
	}
	return b
}

// appendUnit appends what others receive of a message.
func (c *client) appendUnit(b []byte, seq, size int) []byte {
	b = chatroom.AppendFrame(b, []byte(c.name))
	b = fmt.Appendf(b, "%-*d", headerLen, size)
	return c.appendBody(b, seq, size)
}

// begin makes the next frame the one that is being sent.
func (c *client) begin(size int) {
	var payload []byte
	if size < 0 {
		payload = []byte(c.name)
	} else {
		payload = c.appendBody(nil, len(c.sizes), size)
	}
	c.rest, c.restSize = chatroom.AppendFrame(nil, payload), size
}

// finish sends n bytes of what is unsent of a frame, or all.
func (c *client) finish(n int) {
	if n = min(n, len(c.rest)); n == 0 {
		return
	}
	c.link.send(c.rest[:n])
	if c.rest = c.rest[n:]; len(c.rest) > 0 {
		return
	}
	if c.restSize < 0 {
		c.named = true
	} else {
		c.sizes = append(c.sizes, c.restSize)
	}
}

// send sends messages of a size, behind what is unfinished.
func (c *client) send(count, size int) {
	c.finish(len(c.rest))
	frames := make([]byte, 0, count*(headerLen+size))
	body := make([]byte, 0, size)
	for range count {
		body = c.appendBody(body[:0], len(c.sizes), size)
		frames = chatroom.AppendFrame(frames, body)
		c.sizes = append(c.sizes, size)
	}
	c.link.send(frames)
}

// may adds a reason for which the connection may end.
func (c *client) may(reasons ...error) { c.causes = append(c.causes, reasons...) }

// must adds reasons for one of which it ends.
func (c *client) must(reasons ...error) {
	c.may(reasons...)
	c.ends = true
}

// unfinished reports whether the client has sent part of a frame.
func (c *client) unfinished() bool {
	if len(c.rest) == 0 {
		return false
	}
	size := c.restSize
	if size < 0 {
		size = len(c.name)
	}
	return len(c.rest) < len(chatroom.AppendFrame(nil, make([]byte, size)))
}

// A listing says whether the room lists a client, while nothing moves.
type listing byte

const (
	unlisted listing = iota
	listed
	maybeListed // it leaves, and there is still a write that may meet a reset
)

// listing returns whether the room must list the client. simulation.mu must be
// held.
func (c *client) listing() listing {
	switch {
	case c.joined <= c.left || c.link.look().closing:
		return unlisted
	case !c.dueSince.IsZero():
		return maybeListed
	}
	return listed
}

package simulation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.com/chatroom"
)

// minBody is the length of the shortest message. It says only which message it is:
// the number of the connection that sent it, and its place among that connection's
// messages.
const minBody = len("000.00000")

// letters fill messages. The letter at which they begin depends on the message.
const letters = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"

// A client is one simulated connection: what the history has made of it, and what
// the server has told of it.
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
	sizes     []int     // of the messages that it has sent whole
	rest      []byte    // what is unsent of an unfinished frame
	restSize  int       // the size of its message, or -1 for the name
	restSince time.Time // when its first byte was sent; zero if none was

	longestRest time.Duration // the longest time that a finished frame took
	rekeyed     bool          // it has asked for new keys
	named       bool          // the whole name has been sent
	over        bool          // it sends no more
	eagerSince  time.Time     // when it last began to take whatever comes
	lossy       bool          // what the server has not published by now may be lost
	loose       bool          // it may have been behind
	causes      causes
	ends        bool // one of the causes must end it

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
	got       []byte        // received of a message that is not whole yet
	settled   int64         // bytes written to it when nothing moved last while it was connected
	dead      bool          // it is not judged again
	dueSince  time.Time     // since when its end has been overdue; zero if it is not
	taken     int64         // bytes, when last looked at
	waitedFor time.Duration // the part of purse.spent that may have been spent on it
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

// slowFacts tells whether a member was slow when it left.
type slowFacts struct {
	at    time.Time
	link  linkState
	bytes int64 // published since it connected
}

func (c *client) String() string { return fmt.Sprintf("#%d %q", c.number, c.name) }

// appendBody appends a message's text. Its sender, its number and its size alone
// decide what the text is.
func (c *client) appendBody(b []byte, seq, size int) []byte {
	b = fmt.Appendf(b, "%03d.%05d", c.number, seq)
	for n := size - minBody; n > 0; {
		part := letters[seq%26:][:min(n, 26)]
		b = append(b, part...)
		n -= len(part)
	}
	return b
}

// appendUnit appends what others receive when a client sends a message.
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

// finish sends n more bytes of an unfinished frame, or all that is unsent.
func (c *client) finish(n int) {
	if n = min(n, len(c.rest)); n == 0 {
		return
	}
	if !c.unfinished() {
		c.restSince = time.Now()
	}
	c.link.send(c.rest[:n])
	if c.rest = c.rest[n:]; len(c.rest) > 0 {
		return
	}
	c.longestRest = c.restFor()
	c.restSince = time.Time{}
	if c.restSize < 0 {
		c.named = true
	} else {
		c.sizes = append(c.sizes, c.restSize)
	}
}

// send sends messages of one size, after what is unfinished.
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

// may adds a reason for which the connection is allowed to end.
func (c *client) may(reasons ...error) { c.causes = append(c.causes, reasons...) }

// must adds reasons. The connection has to end for one of them.
func (c *client) must(reasons ...error) {
	c.may(reasons...)
	c.ends = true
}

// restFor returns how long a frame was unfinished, or has been until now.
func (c *client) restFor() time.Duration {
	if c.restSince.IsZero() {
		return c.longestRest
	}
	return max(c.longestRest, time.Since(c.restSince))
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

// A listing says whether the room lists a client when nothing moves.
type listing byte

const (
	unlisted listing = iota
	listed
	maybeListed // it leaves, but a write may still meet a reset
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

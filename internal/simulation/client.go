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
	number    int
	character character
	name      string // under which it is listed
	wire      string // the name that it sends, which also says to which room it goes
	room      *room
	watches   bool // it reads everything, and so knows the order in its room
	arrived   bool // what it received first has been looked at; owned by the model
	filtered  bool // message hooks see what it sends
	link      *link
	opened    time.Time
	openedAt  int             // on simulation.clock
	viaServe  bool            // it is served by ServeConn
	lo        int             // messages in the room's log before it connected
	loBytes   uint64          // bytes published by then, in all rooms
	context   context.Context // of ServeConn
	cancel    context.CancelFunc

	// What the client has done. Owned by the run.
	sizes     []int     // of the messages that it has sent whole
	sentAt    []int     // when, on simulation.clock
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
	admitted, joined, left int // times
	inHook                 bool
	heeds                  bool // the hook that it is in ends with its context
	member                 chatroom.Member
	hi                     int    // messages that the room's log has had at most when it had joined
	heard, drops           int    // messages that the message hook has been given, and those that it has dropped
	told                   []*say // in private
	kicks                  []*kick
	verdict                error  // for which a hook has ended the connection
	words                  []byte // that an admit hook has sent it
	reason                 error
	slow                   slowFacts
	served                 bool // ServeConn has returned
	servedBy               error

	// What the model has worked out.
	published int // of sizes: in the log, or dropped by a hook
	mute      int // how many of sizes may be published at most, now that it was kicked; negative is not known yet
	next      int // index in the room's log of what it receives next
	resolved  bool
	free      bool          // nobody knows what it receives, since nobody watches its room
	lastBegan int           // when the latest began of what it has received, on simulation.clock
	goneAt    int           // when it was first found off the list, on simulation.clock; zero if it was not
	goneTo    int           // messages in the room's log by then
	got       []byte        // received of a message that is not whole yet, or before it has joined
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
	b = appendNumber(b, c.number, 3)
	b = append(b, '.')
	b = appendNumber(b, seq, 5)
	for n := size - minBody; n > 0; {
		part := letters[seq%26:][:min(n, 26)]
		b = append(b, part...)
		n -= len(part)
	}
	return b
}

// appendNumber appends the digits of n.
func appendNumber(b []byte, n, digits int) []byte {
	b = append(b, "00000"[:digits]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// appendUnit appends what others receive when a client sends a message.
func (c *client) appendUnit(b []byte, seq, size int) []byte {
	b = chatroom.AppendFrame(b, []byte(c.from(seq)))
	b = fmt.Appendf(b, "%-*d", headerLen, size)
	b = c.appendBody(b, seq, size)
	if c.changesText(seq, size) {
		b[len(b)-1] = '!'
	}
	return b
}

// changesText reports whether a message hook puts an exclamation mark at the end of
// message seq, for which the message must be long enough.
func (c *client) changesText(seq, size int) bool {
	return c.acts(seq) && c.character.does == changes && size > minBody
}

// begin makes the next frame the one that is being sent.
func (c *client) begin(size int) {
	var payload []byte
	if size < 0 {
		payload = []byte(c.wire)
	} else {
		payload = c.appendBody(nil, len(c.sizes), size)
	}
	c.rest, c.restSize = chatroom.AppendFrame(nil, payload), size
}

// finish sends n more bytes of an unfinished frame, or all that is unsent. It is now
// on simulation.clock.
func (c *client) finish(n, now int) {
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
		c.sizes, c.sentAt = append(c.sizes, c.restSize), append(c.sentAt, now)
	}
}

// send sends messages of one size, after what is unfinished.
func (c *client) send(count, size, now int) {
	c.finish(len(c.rest), now)
	frames := make([]byte, 0, count*(headerLen+size))
	body := make([]byte, 0, size)
	for range count {
		body = c.appendBody(body[:0], len(c.sizes), size)
		frames = chatroom.AppendFrame(frames, body)
		c.sizes, c.sentAt = append(c.sizes, size), append(c.sentAt, now)
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
		size = len(c.wire)
	}
	return len(c.rest) < len(chatroom.AppendFrame(nil, make([]byte, size)))
}

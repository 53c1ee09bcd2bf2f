package simulation

import "strings"

// A character is a name, and what the program's hooks do for whoever has it. Some
// names are there more than once on purpose.
type character struct {
	name string
	when moment
	does deed
}

// A moment is when hooks are called.
type moment byte

const (
	never     moment = iota
	admitting        // the name has arrived
	joining          // the room has listed the member
	speaking         // a message has arrived; not each of them matters, see client.acts
	leaving          // the member is off the list
)

// A deed is what a hook does.
type deed byte

const (
	nothing      deed = iota
	panics            // which ends the connection
	waits             // for a second, or until its context ends
	sleeps            // for a second
	broadcasts        // to its room
	tellsAll          // in every room but the member itself
	tellsItself       // in private
	tellsAnother      // in private
	kicksItself       // and does what it has to do after that
	kicksAnother      // which may kick it as well
	looks             // at members, rooms and figures, and flushes
	changes           // name and text of a message
	drops             // a message
	fails             // to judge a message, or refuses a connection after telling it why
	hesitates         // for a second, and then fails to judge a message
	closes            // the server
	shutsDown         // the server, on a goroutine of its own
)

var characters = []character{
	{name: "ann"}, {name: "bob"}, {name: "ann"}, {name: "Ünï"}, {name: "a rather long name of a member"},
	{name: "bob"}, {name: "eve"}, {name: "dot"}, {name: "guy"}, {name: "joe"},
	{"jinx", joining, panics},
	{"lee", leaving, panics},
	{"hal", joining, sleeps},
	{"lin", joining, waits},
	{"ivy", joining, broadcasts},
	{"lou", leaving, broadcasts},
	{name: "no"}, // the name rule refuses it
	{name: ""},   // and this one
	{"pip", admitting, panics},
	{"nia", admitting, fails},
	{"wim", admitting, waits},
	{"kim", joining, kicksItself},
	{"sue", joining, tellsAnother},
	{"ian", joining, tellsItself},
	{"kay", leaving, kicksAnother},
	{"tom", leaving, tellsItself},
	{"kit", speaking, kicksAnother},
	{"ken", speaking, kicksAnother},
	{"kat", speaking, kicksItself},
	{"sid", speaking, tellsItself},
	{"sam", speaking, tellsAnother},
	{"una", speaking, tellsAll},
	{"bea", speaking, broadcasts},
	{"lex", speaking, looks},
	{"wes", speaking, waits},
	{"zoe", speaking, sleeps},
	{"max", speaking, changes},
	{"dan", speaking, drops},
	{"fay", speaking, fails},
	{"roy", speaking, hesitates},
	{"pam", speaking, panics},
}

// Those whose hooks end the server.
var (
	closer  = character{"cleo", joining, closes}
	ender   = character{"dora", joining, shutsDown}
	barrer  = character{"adam", admitting, closes}
	quitter = character{"cora", leaving, closes}
	breaker = character{"clem", speaking, closes}
)

// A fate is what becomes of a message that the server has read.
type fate byte

const (
	published fate = iota
	dropped
	final // it is not published, and nothing after it
)

// acts reports whether the message hook does something about message seq.
func (c *client) acts(seq int) bool {
	return c.filtered && c.character.when == speaking && seq%3 == 1
}

// fateOf returns what becomes of message seq, unless something else ends the
// connection first.
func (c *client) fateOf(seq int) fate {
	if !c.acts(seq) {
		return published
	}
	switch c.character.does {
	case drops:
		return dropped
	case fails, hesitates, panics, kicksItself:
		return final
	}
	return published
}

// from returns the name under which message seq goes.
func (c *client) from(seq int) string {
	if c.acts(seq) && c.character.does == changes {
		return strings.ToUpper(c.name)
	}
	return c.name
}

// skipDropped passes over the messages of c that hooks drop, so that the next one is
// to be published.
func (c *client) skipDropped() {
	for c.published < len(c.sizes) && c.fateOf(c.published) == dropped {
		c.published++
	}
}

// hasUnpublished reports whether c has sent a message that is still to be published.
func (c *client) hasUnpublished() bool {
	c.skipDropped()
	return c.published < len(c.sizes) && c.fateOf(c.published) == published
}

package chatroomtest_test

import (
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A script that goes otherwise fails with its line, what was wanted and what came.
func TestScriptFailuresReadWell(t *testing.T) {
	tests := []struct {
		name, script, want string
	}{
		{"nothing came", "join alice bob\nbob< alice: hi", `s.txt:2: want bob< alice: "hi", got nothing; in the room: ["alice" "bob"]`},
		{"another message", "join alice bob\nalice: ho\nbob< alice: hi", `s.txt:3: want bob< alice: "hi", got bob< alice: "ho"; in the room: ["alice" "bob"]`},
		{"one of several", "join alice bob carol\nbroadcast host: hi\nalice< host: hi\nalice,bob< host: hi", `s.txt:4: want alice< host: "hi", got nothing; in the room: ["alice" "bob" "carol"]`},
		{"something", "join alice bob\nalice: \"\"\n\nbob nothing", `s.txt:4: want bob nothing, got bob< alice: ""; in the room: ["alice" "bob"]`},
		{"the end", "join alice\nclose\nalice nothing", `s.txt:3: want alice nothing, got the end of the connection: server closed; in the room: nobody`},
		{"open", "join alice\nalice closed", `s.txt:2: want alice closed, got nothing; in the room: ["alice"]`},
		{"bytes", "join \"al ice\" bob\n\"al ice\": hi\nbob receives \"2\"", `s.txt:3: want bob receives "2", got bob< "al ice": "hi"; in the room: ["al ice" "bob"]`},
		{"members", "join alice\nmembers bob", `s.txt:2: want members ["bob"]; in the room: ["alice"]`},
		{"still here", "join alice\nleft alice: goodbye", `s.txt:2: want the end of alice: goodbye, got none; in the room: ["alice"]`},
		{"another reason", "join alice\nleave alice\nleft alice: reset", `s.txt:3: want the end of alice: reset, got goodbye (<nil>); in the room: nobody`},
		{"another error", "join alice\nleave alice\nleft alice: \"reset\"", `s.txt:3: want the end of alice: "reset", got goodbye (<nil>); in the room: nobody`},
		{"let in", "refused alice: name rejected", `s.txt:1: want alice refused, but it is let in; in the room: ["alice"]`},
		{"not let in", `join "new\nline"`, `s.txt:1: want "new\nline" let in, got the end of the connection: name rejected; in the room: nobody`},
		{"nobody of the name", "join alice\nalcie: hi", `s.txt:2: nobody has connected as "alcie"; in the room: ["alice"]`},
		{"twice", "join alice\njoin alice", `s.txt:2: alice is connected already; another ID can join as alice; in the room: ["alice"]`},
		{"left twice", "join alice\nleave alice\ncut alice", `s.txt:3: alice has hung up already; in the room: nobody`},
		{"owed", "join alice bob\nalice: hi", `s.txt:2: nobody expected what came: bob< alice: "hi"`},
		{"owed to one who has left", "join alice bob\nalice: hi\nleave bob", `s.txt:3: nobody expected what came: bob< alice: "hi"`},
		{"owed to one who has come back", "join alice bob\nalice: hi\nleave bob\njoin bob\nbob nothing", `s.txt:4: nobody expected what came: bob< alice: "hi"`},
		{"owed to one who is stalled", "join alice bob\nstall bob\nalice: hi", `s.txt:3: nobody expected what came: bob< alice: "hi"`},
		{"an end", "join alice\nalice sends \"0123456789\"\nalice: bye\nalice sends \"x         \"", `s.txt:2: nobody expected the end of alice: too large (chatroom: frame too large: header "0123456789" announces 123456789 bytes, the limit is 1048576)`},

		{"unknown act", "jion alice", `s.txt:1: unknown act "jion alice"; did you mean join ID... [as NAME] [in ROOM]?`},
		{"unknown act of somebody", "\nalice sendz \"x\"", `s.txt:2: unknown act "alice sendz \"x\""; did you mean ID,ID... sends "BYTES"?`},
		{"nothing known", "alice waves", `s.txt:1: unknown act "alice waves"`},
		{"verb second", "alice cut", `s.txt:1: unknown act "alice cut"; did you mean cut ID... [mid-frame]?`},
		{"verb first", `sends alice "x"`, `s.txt:1: unknown act "sends alice \"x\""; did you mean ID,ID... sends "BYTES"?`},
		{"nobody", "leave", `s.txt:1: unknown act "leave"; did you mean leave ID... [mid-frame]?`},
		{"too much", "shutdown now", `s.txt:1: unknown act "shutdown now"; did you mean shutdown?`},
		{"no body", "alice:", `s.txt:1: no BODY (an empty one is ""); want ID,ID...: BODY`},
		{"no end", `alice: "hi`, `s.txt:1: "hi is not a quoted string; want ID,ID...: BODY`},
		{"no string", `join "\q"`, `s.txt:1: "\q" is not a quoted string; want join ID... [as NAME] [in ROOM]`},
		{"unknown option", "option idletimeout 1h", `s.txt:1: unknown option "idletimeout"; there are backlog, frame-timeout, handshake-timeout, history, idle-timeout, max-members, max-message, unique-names, write-timeout`},
		{"no option's value", "option backlog 1h", `s.txt:1: strconv.Atoi: parsing "1h": invalid syntax`},
		{"late option", "join alice\noption backlog 1", `s.txt:2: options come before all other acts`},
		{"no duration", "sleep long", `s.txt:1: time: invalid duration "long"; want sleep DURATION`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, tt.want, failureOf(t, func(tb testing.TB) {
					chatroomtest.RunScript(tb, "s.txt", tt.script)
				}))
			})
		})
	}
}

// IDs, names and bodies may be anything, and connections may share a line.
func TestScriptForms(t *testing.T) {
	tests := []struct {
		name, script string
	}{
		{"verbs as names", "join join nothing as\njoin:hi\nnothing,as<join: hi"},
		{"quotation", "join \"a, \\\"b\\\": c\" \"\\x01\" mid-frame as alice\n\"a, \\\"b\\\": c\": x: y < z\nmid-frame, \"\\x01\"< alice: \"x: y < z\""},
		{"one name", "join a b as alice\nmembers alice alice\na: \"\"\nb< alice: \"\"\nleave a b\nmembers\nleft a b: goodbye"},
		{"mid-frame", "join a\ncut a mid-frame\nleft a: \"reset\"\njoin a\nleave a mid-frame\nleft a: half a frame"},
		{"several senders", "join a b c\na,b: hi\na< b: hi\nb< a: hi\nc< a: hi\nc< b: hi\na, b  nothing\nleave c\nc closed"},
		{"refusals", "refused a b as \"\": name rejected\nconnect c\nc sends \"x\"\nleave c\nleft c: half a frame\njoin c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chatroomtest.RunScript(t, "s.txt", tt.script) })
		})
	}
}

// Scripts may come from anywhere, and options from the program.
func TestRunScripts(t *testing.T) {
	chatroomtest.RunScripts(t, fstest.MapFS{
		"rooms/limit.txt": {Data: []byte("join alice\nalice sends \"17        \"\nleft alice: \"limit is 16\"\n")},
	}, "rooms/*.txt", func(testing.TB) []chatroom.ServerOption {
		return []chatroom.ServerOption{chatroom.WithMaxMessage(16)}
	})
}

package chatroomtest_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A script that goes otherwise fails with its line, what was wanted and what came.
func TestScriptFailuresReadWell(t *testing.T) {
	tests := []struct {
		name, script, want string
	}{
		{"nothing came", "join alice bob\nbob< alice: hi", `s.txt:2: want bob< alice: hi, got nothing; in the room: ["alice" "bob"]`},
		{"another message", "join alice bob\nalice: ho\nbob< alice: hi", `s.txt:3: want bob< alice: hi, got bob< alice: ho; in the room: ["alice" "bob"]`},
		{"something", "join alice bob\nalice: \"\"\n\nbob nothing", `s.txt:4: want bob nothing, got bob< alice: ""; in the room: ["alice" "bob"]`},
		{"the end", "join alice\nclose\nalice nothing", `s.txt:3: want alice nothing, got the end of the connection: server closed; in the room: nobody`},
		{"open", "join alice\nalice closed", `s.txt:2: want alice closed, got nothing; in the room: ["alice"]`},
		{"bytes", "join alice bob\nalice: hi\nbob receives \"2\"", `s.txt:3: want bob receives "2", got bob< alice: hi; in the room: ["alice" "bob"]`},
		{"too few", "join alice bob\nalice sends 3 messages of 4 bytes\nbob receives 5 messages of 4 bytes from alice", `s.txt:3: want bob receives 5 messages, got 3 and then nothing; in the room: ["alice" "bob"]`},
		{"members", "join alice\nmembers bob", `s.txt:2: want members ["bob"], got ["alice"]; in the room: ["alice"]`},
		{"still here", "join alice\nleft alice: goodbye", `s.txt:2: want left alice: goodbye, got no end of the connection; in the room: ["alice"]`},
		{"another reason", "join alice\nleave alice\nleft alice: reset", `s.txt:3: want left alice: reset, got goodbye (<nil>); in the room: nobody`},
		{"let in", "refused alice: name rejected", `s.txt:1: want alice refused, but it is let in; in the room: ["alice"]`},
		{"not let in", `join "new\nline"`, `s.txt:1: want "new\nline" let in, got refused: name rejected; in the room: nobody`},
		{"nobody of the name", "join alice\nalcie: hi", `s.txt:2: nobody has connected as "alcie"; did you mean "alice"?; in the room: ["alice"]`},
		{"twice", "join alice\njoin alice", `s.txt:2: "alice" is connected already; another connection of that name is join ID as alice; in the room: ["alice"]`},
		{"owed", "join alice bob\nalice: hi", `s.txt:2: nobody expected what came: bob< alice: hi`},
		{"owed to one who has left", "join alice bob\nalice: hi\nleave bob", `s.txt:3: nobody expected what came: bob< alice: hi`},
		{"owed to one who is stalled", "join alice bob\nstall bob\nalice: hi", `s.txt:3: nobody expected what came: bob< alice: hi`},
		{"an end", "join alice\nalice sends \"0123456789\"\nalice: bye\nalice sends \"x         \"", `s.txt:2: nobody expected the end of alice: too large (chatroom: frame too large: header "0123456789" announces 123456789 bytes, the limit is 1048576)`},

		{"unknown act", "jion alice", `s.txt:1: unknown act "jion"; did you mean "join"?`},
		{"unknown act of somebody", "\nalice sendz \"x\"", `s.txt:2: unknown act "sendz" of alice; did you mean "sends"?`},
		{"nothing known", "alice waves", `s.txt:1: unknown act "alice"`},
		{"verb second", "alice cut", `s.txt:1: "cut" comes first: did you mean "cut alice"?`},
		{"verb first", `sends alice "x"`, `s.txt:1: "sends" comes second: did you mean "ID sends"?`},
		{"no body", "alice:", `s.txt:1: no body; an empty one is ""`},
		{"no end", `alice: "hi`, `s.txt:1: "hi begins with a quotation mark and is not a quoted string`},
		{"unknown option", "option idletimeout 1h", `s.txt:1: unknown option "idletimeout"; did you mean "idle-timeout"?`},
		{"late option", "join alice\noption backlog 1", `s.txt:2: option backlog after the first act`},
		{"not a duration", "sleep long", `s.txt:1: sleep: want a duration such as 1h, got "long"`},
		{"unknown reason", "left alice: rest", `s.txt:1: unknown reason "rest"; did you mean "reset"?`},
		{"nobody", "leave", `s.txt:1: want leave ID, of one or more`},
		{"no room for numbers", "alice sends 100 messages of 1 bytes", `s.txt:1: want ID sends "BYTES", or ID sends N messages of M bytes with room for their numbers`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, tt.want, failureOf(t, func(tb testing.TB) {
					chatroomtest.RunScript(tb, "s.txt", tt.script, false)
				}))
			})
		})
	}
}

// What is rewritten holds, and what holds is not rewritten.
func TestScriptUpdate(t *testing.T) {
	tests := []struct {
		name, script, want string
	}{
		{"holds", "# A comment.\n\njoin alice  bob\nalice: hi\n  bob<  alice: hi\n", "# A comment.\n\njoin alice  bob\nalice: hi\n  bob<  alice: hi\n"},
		{"another message", "join alice bob\nalice: hi\nbob< alice: ho\n# End.\n", "join alice bob\nalice: hi\nbob< alice: hi\n# End.\n"},
		{"no message", "join alice bob\nbob< alice: ho\n", "join alice bob\n"},
		{"some of several", "join alice bob carol\nalice: hi\nbob,alice< alice: hi\n", "join alice bob carol\nalice: hi\nbob< alice: hi\ncarol< alice: hi\n"},
		{"something", "join alice bob\nalice: hi\nalice: \"\"\nbob nothing\n", "join alice bob\nalice: hi\nalice: \"\"\nbob< alice: hi\nbob< alice: \"\"\n"},
		{"owed", "join alice bob\nalice: hi\n", "join alice bob\nalice: hi\nbob< alice: hi\n"},
		{"owed at the end of a last line", "join alice bob\nalice: hi", "join alice bob\nalice: hi\nbob< alice: hi\n"},
		{"members", "join alice bob\nmembers\n", "join alice bob\nmembers alice bob\n"},
		{"reason", "join alice\ncut alice\nleft alice: goodbye\n", "join alice\ncut alice\nleft alice: reset\n"},
		{"refused", "refused alice as \"\": timeout\n", "refused alice as \"\": name rejected\n"},
		{"an end", "join alice\nalice sends \"0123456789\"\n", "join alice\nalice sends \"0123456789\"\nleft alice: too large\n"},
		{"numbered", "join alice bob\nalice sends 2 messages of 3 bytes\nbob receives 3 messages of 3 bytes from alice\n", "join alice bob\nalice sends 2 messages of 3 bytes\nbob< alice: 0..\nbob< alice: 1..\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := string(chatroomtest.RunScript(t, "s.txt", tt.script, true))
				assert.Equal(t, tt.want, got)
				assert.Equal(t, got, string(chatroomtest.RunScript(t, "s.txt", got, false)))
			})
		})
	}
}

// The flag writes to the files of os.DirFS.
func TestRunScriptsUpdates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.txt")
	require.NoError(t, os.WriteFile(file, []byte("join alice bob\nalice: hi\nbob nothing\n"), 0o600))
	require.NoError(t, flag.Set("chatroomtest.update", "true"))
	chatroomtest.RunScripts(t, os.DirFS(filepath.Dir(file)), "*.txt")
	require.NoError(t, flag.Set("chatroomtest.update", "false"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "join alice bob\nalice: hi\nbob< alice: hi\n", string(text))
	chatroomtest.RunScripts(t, os.DirFS(filepath.Dir(file)), "*.txt")
}

// Scripts may come from anywhere, and options from the program.
func TestRunScripts(t *testing.T) {
	chatroomtest.RunScripts(t, fstest.MapFS{
		"rooms/limit.txt": {Data: []byte("join alice\nalice sends \"17        \"\nleft alice: \"limit is 16\"\n")},
	}, "rooms/*.txt", chatroom.WithMaxMessage(16))
}

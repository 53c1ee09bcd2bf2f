package chatroomtest

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"example.com/chatroom"
)

// RunScripts runs each file of fsys that matches pattern, in the form of
// [fs.Glob], as a subtest named after the file. A file tells a room's story, one
// act a line:
//
//	# A room never echoes.
//	option idle-timeout 1h
//	join alice bob
//	alice: hello
//	bob< alice: hello
//	alice nothing
//	leave alice
//	members bob
//
// Each story has a server of its own, with what options returns for it, unless that is
// nil, and the story's options, in a [testing/synctest] bubble: an hour of sleep takes no time. A line is over when
// everything that follows from it has happened.
//
// The first line that does not hold fails the subtest with file and line, what was
// wanted, what came, and how to run the story again. At its end a story fails if
// somebody received what no line expected, or if the server ended a connection and
// no line says so.
//
// RunScripts fails the test if no file matches. It blocks until all stories are
// told. Call it on the test's goroutine, outside a bubble.
//
// # Acts
//
//	option NAME VALUE                set an option; options come before all other acts
//	join ID... [as NAME] [in ROOM]   connect, and join under the name ID or NAME
//	connect ID...                    connect, and send nothing
//	leave ID... [mid-frame]          close the connection (goodbye), or after half a frame
//	cut ID... [mid-frame]            reset the connection (reset), or after half a frame
//	stall ID...                      stop reading
//	resume ID...                     read again
//	broadcast NAME [in ROOM]: BODY   the program sends a message as NAME, to all rooms or one
//	tell ID... as NAME: BODY         the program sends a message to these alone
//	kick ID...: BODY                 the program throws them out, for this reason
//	sleep DURATION                   let time pass, such as 1h30m
//	shutdown                         begin the server's graceful end
//	close                            end the server at once
//	members in ROOM [NAME...]        expect these in the room, in the order of joining
//	members [NAME...]                the same of all rooms
//	left ID...: REASON               expect that the connection has ended, and why
//	refused ID... [as NAME] [in ROOM]: REASON
//	                                 the same; a new ID tries to join first
//	ID,ID...: BODY                   each sends a message
//	ID,ID... sends "BYTES"           each sends bytes as they are
//	ID,ID...< NAME: BODY             expect that each receives this message next
//	ID,ID... receives "BYTES"        expect that each receives these bytes next
//	ID,ID... nothing                 expect no bytes, and an open connection
//	ID,ID... closed                  expect no bytes, and the end of the connection
//
// # Words
//
// An ID stands for one connection, and only in the script. Write an ID, NAME or
// BODY as a Go string in double quotes if it is empty, begins with a quotation
// mark, or has control characters or bytes that are not UTF-8. Do the same for a
// BODY that begins or ends with a space, and for an ID or NAME that has a space, a
// comma, a colon or a "<". Blank lines, and lines that begin with #, are skipped.
//
// A REASON is goodbye, half a frame, reset, bad header, too large, name rejected, name
// taken, room full, kicked, slow consumer, timeout or server closed, or, in double
// quotes, a part of the error's text.
//
// The options are idle-timeout, handshake-timeout, write-timeout and frame-timeout, with
// a DURATION, max-message and backlog, in bytes, history and max-members, a number, and
// unique-names, true or false. Zero and negative mean what they mean to
// [chatroom.NewServer].
func RunScripts(t *testing.T, fsys fs.FS, pattern string, options func(tb testing.TB) []chatroom.ServerOption) {
	t.Helper()
	names, err := fs.Glob(fsys, pattern)
	if err != nil {
		t.Fatalf("chatroomtest: scripts %q: %v", pattern, err)
	}
	if len(names) == 0 {
		t.Fatalf("chatroomtest: no script matches %q", pattern)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(path.Base(name), path.Ext(name)), func(t *testing.T) {
			text, err := fs.ReadFile(fsys, name)
			if err != nil {
				t.Fatalf("chatroomtest: read script: %v", err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("run it again:\n\n\t%s\n\n", rerun(t.Name()))
				}
			})
			synctest.Test(t, func(t *testing.T) {
				var opts []chatroom.ServerOption
				if options != nil {
					opts = options(t)
				}
				runScript(t, name, string(text), opts...)
			})
		})
	}
}

// runScript tells one story, and fails tb where the story goes otherwise. It must
// be called inside a bubble.
func runScript(tb testing.TB, name, text string, opts ...chatroom.ServerOption) {
	tb.Helper()
	acts, own, err := parseScript(text)
	if err != nil {
		tb.Fatalf("%s:%v", name, err)
	}
	r := &scriptRun{
		tb:    tb,
		name:  name,
		s:     NewServer(tb, slices.Concat(opts, own)...),
		peers: make(map[string]*scriptPeer),
	}
	for _, a := range acts {
		r.do(a)
	}
	r.finish()
}

// rerun returns the command that runs one test again.
func rerun(name string) string {
	return "go test -run '^" + strings.ReplaceAll(regexp.QuoteMeta(name), "/", "$/^") + "$' ."
}

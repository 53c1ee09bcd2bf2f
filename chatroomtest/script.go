package chatroomtest

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"example.com/chatroom"
)

// updateFlag is the flag that rewrites scripts. Its prefix leaves the name
// "update" to the package under test.
const updateFlag = "chatroomtest.update"

func init() {
	if testing.Testing() {
		flag.Bool(updateFlag, false, "rewrite what chatroomtest scripts expect to what came")
	}
}

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
// Each story has a server of its own, with opts and then its option lines, in a
// [testing/synctest] bubble: an act is over when everything that follows from it
// has happened, and only sleep takes time, on the fake clock. The first act that
// finds something else fails the subtest with file and line, what was wanted, what
// came and how to run it again. So does, at the end, what somebody received and no line expected,
// and a connection that the server ended without a line that says so. It fails
// the test, too, if no file matches. It blocks until all stories are told, and
// must be called on the test's goroutine, outside a bubble.
//
// # Acts
//
//	join ID...                    connect, give ID as the name, and be let in
//	join ID as NAME               the same under another name: names may be equal
//	connect ID...                 connect without a word
//	ID: BODY                      send a message
//	ID sends "BYTES"              send bytes as they are
//	ID sends N messages of M bytes
//	broadcast NAME: BODY          the server sends, as NAME
//	leave ID...                   say goodbye
//	leave ID... mid-frame         send half a frame, and say goodbye
//	cut ID...                     reset the connection
//	cut ID... mid-frame           send half a frame, and reset the connection
//	stall ID...                   stop reading
//	resume ID...                  read again
//	sleep DURATION                let time pass, in the form of time.ParseDuration
//	shutdown                      begin the server's graceful end
//	close                         end the server at once
//
// # Expectations
//
//	ID,ID...< NAME: BODY          the next message that each receives
//	ID,ID... receives "BYTES"     the next bytes
//	ID,ID... receives N messages of M bytes from NAME
//	ID,ID... nothing              there is nothing, and the connection is open
//	ID,ID... closed               there is nothing, and the connection has ended
//	members NAME...               who is in the room, in the order of joining; none is nobody
//	left ID: REASON               why ID is no member any more
//	refused ID: REASON            ID, connected by this line if it is new, is not let in
//	refused ID as NAME: REASON
//
// # Words
//
// ID stands for one connection, in the script only. An ID, NAME or BODY that is
// empty, has control characters or bytes that are not UTF-8, or begins with a
// quotation mark, is written as a Go string in double quotes; so is a BODY that
// begins or ends with a space, and an ID or NAME with a space, a comma, a colon
// or a "<". The messages of "N messages of M bytes" are numbered from 0 and
// padded with dots, so that none can be taken for another. Blank lines, and lines
// that begin with #, are skipped.
//
// REASON is goodbye, half a frame, reset, bad header, too large, name rejected,
// slow consumer, timeout or server closed, or, in double quotes, a part of the
// error's text.
//
// The options, ahead of all acts, are idle-timeout, handshake-timeout and
// write-timeout, a DURATION, and max-message and backlog, in bytes. Zero and
// negative mean what they mean to [chatroom.NewServer].
//
// # Rewriting
//
// With the flag -chatroomtest.update, or a boolean flag -update that the package
// under test defines and is given, what scripts expect is rewritten in place to
// what came: other messages, members and reasons take the place of those in the
// file, and what nobody expected is appended. Acts, comments and expectations that
// hold stay as they are; a script with an error in it, and one whose joins fail,
// still fails. The files written are those that fsys opens, which must be of type
// [*os.File], as those of [os.DirFS] are; with another fsys the test fails.
func RunScripts(t *testing.T, fsys fs.FS, pattern string, opts ...chatroom.ServerOption) {
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
					t.Logf("run it again:\n\n\t%s\n\n-%s rewrites what it expects", rerun(t.Name()), updateFlag)
				}
			})
			update := updating()
			var rewritten []byte
			synctest.Test(t, func(t *testing.T) {
				rewritten = runScript(t, name, string(text), update, opts...)
			})
			if !update || t.Failed() || bytes.Equal(rewritten, text) {
				return
			}
			if err := rewrite(fsys, name, rewritten); err != nil {
				t.Fatalf("chatroomtest: rewrite script: %v", err)
			}
		})
	}
}

// updating reports whether scripts are to be rewritten.
func updating() bool {
	for _, name := range []string{updateFlag, "update"} {
		if f := flag.Lookup(name); f != nil {
			if g, ok := f.Value.(flag.Getter); ok && g.Get() == true {
				return true
			}
		}
	}
	return false
}

// rewrite gives the file that fsys opens as name other contents.
func rewrite(fsys fs.FS, name string, text []byte) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	file, ok := f.(*os.File)
	if !ok {
		return fmt.Errorf("%s is a %T, not a file of the system's: use os.DirFS", name, f)
	}
	return os.WriteFile(file.Name(), text, 0o644)
}

// runScript tells one story, fails tb where it goes otherwise, and returns the
// script, rewritten if update is set. It must be called inside a bubble.
func runScript(tb testing.TB, name, text string, update bool, opts ...chatroom.ServerOption) []byte {
	tb.Helper()
	sc, err := parseScript(name, text)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	r := &scriptRun{
		tb:      tb,
		sc:      sc,
		s:       NewServer(tb, append(opts[:len(opts):len(opts)], sc.opts...)...),
		peers:   make(map[string]*scriptPeer),
		update:  update,
		instead: make(map[int][]string),
	}
	for _, a := range sc.acts {
		r.do(a)
	}
	r.finish()
	return r.rewritten()
}

// rerun returns the command that runs a test again, with the flags that the
// program has added.
func rerun(name string) string {
	var pattern []string
	for _, part := range strings.Split(name, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	command := "go test -run '" + strings.Join(pattern, "/") + "' ."
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			command += fmt.Sprintf(" -%s=%v", f.Name, f.Value)
		}
	})
	return command
}

// Package planted shows that a simulation finds what it is there to find: each
// test breaks a copy of package chatroom in one place, and must see the
// simulation fail.
package planted

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	root = "../../.." // of the module, from here

	// histories is how many a fault may take to be found.
	histories = 2000
)

// A fault is one change of the source.
type fault struct {
	name     string
	file     string
	old, new string
}

var faults = []fault{
	{"a member is skipped", "room.go",
		"\t\tm.cur = start\n",
		"\t\tif m.cur = start; m.ID == 3 {\n\t\t\tm.cur = r.log.cursor()\n\t\t}\n"},
	{"a sender that is behind gets its own", "room.go",
		"if sender != nil && !sender.idle() && !sender.deaf {",
		"if false {"},
	{"a sender that is not behind gets its own", "room.go",
		"\t\tif m == sender {\n\t\t\tcontinue\n\t\t}\n\t\tm.at = -1",
		"\t\tm.at = -1"},
	{"a wake-up is forgotten", "room.go",
		"for i, m := range *woken {",
		"for i, m := range *woken {\n\t\tif i == 3 {\n\t\t\tm.writer.Done()\n\t\t\tcontinue\n\t\t}"},
	{"a writer ends although more has come", "member.go",
		"if len(m.skips) > m.passed || m.cur.pos() != r.log.end {\n\t\t\treturn false\n\t\t}",
		""},
	{"nothing is drained before the end", "session.go",
		"\tif reason == ErrServerClosed {\n\t\ts.drain()\n\t}",
		""},
	{"the last of a batch is dropped", "session_read.go",
		"if err := s.srv.room.publish(&s.member, batch[:n]); err != nil {",
		"if err := s.srv.room.publish(&s.member, batch[:max(1, min(n, 15))]); err != nil {"},
	{"a member stays listed", "session.go",
		"\ts.srv.room.leave(&s.member) // first, so that",
		"\t// first, so that"},
	{"a leave is told twice", "session.go",
		"\ts.tellLeave(reason)\n",
		"\ts.tellLeave(reason)\n\tif reason != nil {\n\t\ts.tellLeave(reason)\n\t}\n"},
	{"a leave is not told", "session.go",
		"\ts.tellLeave(reason)\n",
		"\tif !errors.Is(reason, io.ErrUnexpectedEOF) {\n\t\ts.tellLeave(reason)\n\t}\n"},
	{"half a frame is a clean goodbye", "frame.go",
		"if err == io.EOF && f.partial() {",
		"if false {"},
	{"a reset is a clean goodbye", "session_read.go",
		"\tcase err == io.EOF:\n\t\treturn nil\n\tcase late && s.stopping",
		"\tcase err == io.EOF || !late:\n\t\treturn nil\n\tcase late && s.stopping"},
	{"what was held is lost", "room.go",
		"\t\tr.mu.Lock()\n\t}\n\tswitch {\n\tcase r.state == roomClosed:",
		"\t\tr.mu.Lock()\n\t\tif !r.pace.held {\n\t\t\tmessages = messages[1:]\n\t\t}\n\t}\n\tswitch {\n\tcase r.state == roomClosed:"},
	{"messages go under a wrong name", "room.go",
		"r.appendAndUnlock(m, m.prefix, messages...)",
		"prefix := m.prefix\n\tif e := m.elem.Next(); e != nil && len(e.Value.(*member).prefix) == len(prefix) {\n\t\tprefix = e.Value.(*member).prefix\n\t}\n\tr.appendAndUnlock(m, prefix, messages...)"},
	{"a unit is split", "member.go",
		"\t\tif len(run) > len(m.scratch)-len(m.pending) {\n\t\t\tbreak\n\t\t}",
		"\t\tif len(run) > len(m.scratch)-len(m.pending) {\n\t\t\tm.cur.advance(int64(len(run)))\n\t\t\tbreak\n\t\t}"},
	{"a connection is left open", "session.go",
		"\t_ = s.nc.Close() // there",
		"\tif s.Name != \"bob\" {\n\t\t_ = s.nc.Close()\n\t}\n\t// there"},
	{"a hold is never released", "pace.go",
		"\tif !r.mustHoldLocked() {\n\t\tr.releaseLocked()\n\t\treturn\n\t}",
		""},
	{"a tie holds for ever", "pace.go",
		"if m.far && !m.stuck && m.pos.Load() == m.lag.seenPos {",
		"if false {"},
	{"a hold is for the slowest", "pace.go",
		"(2*r.pace.far > r.members.Len() || r.pace.late > 0 ||",
		"(r.pace.far > 0 || r.pace.late > 0 ||"},
	{"the late are not waited for", "pace.go",
		"m.late = over && !m.owed && patient && now.Before(m.lag.until)",
		"m.late = false"},
	{"nobody is ever too slow", "pace.go",
		"if over && !m.late && !m.owed {",
		"if false {"},
	{"a slow consumer is not counted", "session_write.go",
		"\t\tif s.evict(err) {\n\t\t\ts.srv.room.countSlow()\n\t\t}",
		"\t\ts.evict(err)"},
	{"who joins gets what came before", "room.go",
		"\t\tm.cur = start\n\t\tm.pos.Store(start.pos())\n\t\tm.writer.Add(1)",
		"\t\tm.cur = cursor{chunk: start.chunk}\n\t\tm.pos.Store(start.pos())\n\t\tm.writer.Add(1)"},
	{"the idle timeout runs once", "session_read.go",
		"if s.srv.cfg.idleTimeout > 0 {",
		"if s.srv.cfg.idleTimeout > 0 && s.in.partial() {"},
	{"a write that makes progress is not forgiven", "session_write.go",
		"case late && n > 0:",
		"case false:"},
	{"a panic of a join hook goes unnoticed", "hook.go",
		"\t\tif err := s.runHook(\"join hook\", func() { hook(s.Member) }); err != nil {\n\t\t\treturn err\n\t\t}",
		"\t\t_ = s.runHook(\"join hook\", func() { hook(s.Member) })"},
	{"a writer is not waited for", "session_write.go",
		"\ts.limitLastReads()\n}\n\n// linger",
		"\tselect {}\n}\n\n// linger"},
}

const program = `package planted_test

import (
	"fmt"
	"testing"

	"example.com/chatroom/internal/simulation"
)

func TestFault(t *testing.T) {
	for seed := range uint64(%d) {
		fmt.Println("history", seed+1) // should the server panic, the last of these is it
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulation.Run(t, seed) }) {
			fmt.Println("found after", seed+1)
			return
		}
	}
}
`

var (
	found  = regexp.MustCompile(`(?m)^found after (\d+)$`)
	died   = regexp.MustCompile(`(?s)(?:.*\n)?history (\d+)\n(?:.*\n)?panic: `)
	wanted = regexp.MustCompile(`simulation of seed \d+: (.*)`)
)

// Each fault that is planted is found.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("builds package chatroom once for each fault")
	}
	dir := copyModule(t)
	for _, f := range append(faults, fault{name: "none"}) {
		t.Run(f.name, func(t *testing.T) {
			if f.file != "" {
				path := filepath.Join(dir, f.file)
				source, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, 1, strings.Count(string(source), f.old), "the fault's place must be once in %s:\n%s", f.file, f.old)
				require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(source), f.old, f.new, 1)), 0o600))
				defer func() { require.NoError(t, os.WriteFile(path, source, 0o600)) }()
			}
			start := time.Now()
			out := runProgram(t, dir)
			if f.file == "" {
				require.Regexp(t, `^ok\s`, out, "nothing is planted, and the simulation must pass")
				return
			}
			after := found.FindStringSubmatch(out)
			if after == nil {
				after = died.FindStringSubmatch(out)
			}
			require.NotNil(t, after, "the fault must be found within %d histories:\n%s", histories, out)
			reason := "the test binary ended"
			if m := wanted.FindStringSubmatch(out); m != nil {
				reason = m[1]
			}
			t.Logf("after %4s histories, %5v: %.160s", after[1], time.Since(start).Round(10*time.Millisecond), reason)
		})
	}
}

// copyModule copies what the simulation needs of the module.
func copyModule(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, data []byte) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for _, pattern := range []string{"*.go", "internal/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			name, err := filepath.Rel(root, file)
			require.NoError(t, err)
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			write(name, data)
		}
	}
	write("go.mod", []byte("module example.com/chatroom\n\ngo 1.25.0\n"))
	write("planted/planted_test.go", fmt.Appendf(nil, program, histories))
	return dir
}

// runProgram builds and runs the simulation of the copy in dir, and returns what
// it says.
func runProgram(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-timeout=60s", "./planted")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return string(out)
}

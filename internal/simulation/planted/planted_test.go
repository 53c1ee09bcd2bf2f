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

	// histories is how many a fault may take to be found, and clusterHistories how many of
	// clusters.
	histories        = 3000
	clusterHistories = 2000
)

const program = `package planted_test

import (
	"fmt"
	"testing"

	"example.com/chatroom/internal/simulation"
)

func TestFault(t *testing.T) {
	for seed := range uint64(%d) {
		fmt.Println("history", seed+1) // should the server panic, the last of these is it
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulation.%s(t, seed) }) {
			fmt.Println("found after", seed+1)
			return
		}
	}
}
`

var (
	found    = regexp.MustCompile(`(?m)^found after (\d+)$`)
	died     = regexp.MustCompile(`(?s)(?:.*\n)?history (\d+)\n(?:.*\n)?panic: `)
	wanted   = regexp.MustCompile(`simulation of seed \d+: (.*)`)
	panicked = regexp.MustCompile(`(?m)^(panic: .*)`)
)

// Each fault that is planted is found.
func TestPlantedFaults(t *testing.T) { plantAll(t, faults, "Run", histories) }

// Each fault of servers that share an order is found.
func TestPlantedClusterFaults(t *testing.T) {
	plantAll(t, clusterFaults, "RunCluster", clusterHistories)
}

// plantAll plants faults, and has the function of package simulation that is called run
// find each, within so many histories. Nothing must be found without a fault.
func plantAll(t *testing.T, faults []fault, run string, histories int) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds package chatroom once for each fault")
	}
	for _, f := range append(faults, fault{name: "none"}) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := copyModule(t, fmt.Appendf(nil, program, histories, run))
			if f.file != "" {
				plant(t, dir, f)
			}
			start := time.Now()
			out := runProgram(t, dir)
			if f.file == "" {
				require.Regexp(t, `^ok\s`, out, "nothing is planted, and the simulation must pass")
				return
			}
			after, reason := found.FindStringSubmatch(out), wanted.FindStringSubmatch(out)
			if after == nil {
				after, reason = died.FindStringSubmatch(out), panicked.FindStringSubmatch(out)
			}
			require.NotNil(t, after, "the fault must be found within %d histories:\n%s", histories, out)
			require.NotNil(t, reason, "%s", out)
			t.Logf("after %4s histories, %5v: %.160s", after[1], time.Since(start).Round(10*time.Millisecond), reason[1])
		})
	}
}

// plant changes one place of the copy in dir.
func plant(t *testing.T, dir string, f fault) {
	t.Helper()
	path := filepath.Join(dir, f.file)
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(source), f.old), "the fault's place must be once in %s:\n%s", f.file, f.old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(source), f.old, f.new, 1)), 0o600))
}

// copyModule copies what the simulation needs of the module, and adds a program that runs
// it.
func copyModule(t *testing.T, program []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, data []byte) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for _, pattern := range []string{"*.go", "internal/*/*.go", "chatroomtest/order*.go"} {
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
	write("planted/planted_test.go", program)
	return dir
}

// runProgram builds and runs the simulation of the copy in dir, and returns what
// it says. Without the copies' paths in them, packages are built once for all.
func runProgram(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-trimpath", "-vet=off", "-count=1", "-timeout=60s", "./planted")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return string(out)
}

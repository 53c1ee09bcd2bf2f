package simulation_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom/internal/simulation"
)

var (
	histories = flag.Int("histories", 300, "how many histories TestSimulate and TestSimulateCluster each run")
	firstSeed = flag.Uint64("seed", 0, "the seed of the first of them")
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // histories are short, and their messages garbage
	goleak.VerifyTestMain(m)
}

// Lives of a server that nobody has thought of. For more of them:
//
//	go test -run '^TestSimulate$' ./internal/simulation -histories=10000
func TestSimulate(t *testing.T) { runHistories(t, simulation.Run) }

// Lives of a few servers that share an order.
func TestSimulateCluster(t *testing.T) { runHistories(t, simulation.RunCluster) }

// runHistories runs as many histories as the flag says, each in a subtest of its own.
func runHistories(t *testing.T, run func(t *testing.T, seed uint64)) {
	start := time.Now()
	for i := range *histories {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { run(t, seed) })
	}
	took := time.Since(start)
	t.Logf("%d histories in %v, %.0f a second", *histories, took.Round(time.Millisecond), float64(*histories)/took.Seconds())
}

// A recorder is a test that may fail without failing the one around it.
type recorder struct {
	testing.TB

	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// A failure names the shortest history that fails too, what was wanted, what came,
// and how to run it again.
func TestFailureReadsWell(t *testing.T) {
	bobJoins := []byte("\x00\x01\x00")
	history := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // options
		"\x00\x00\x00" + string(bobJoins) + // ann and bob join
		"\x01\x00\x00" + // ann sends
		"\x0b\x00\x02" + // time passes
		"\x01\x01\x00" // bob sends, which does not matter
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		simulation.Report(r, t, []byte(history), func(h []byte) error {
			if !bytes.Contains(h, bobJoins) {
				return nil
			}
			return errors.New("want nobody called bob, got him")
		})
	}()
	<-done
	require.NotEmpty(t, r.failure)
	assert.True(t, strings.HasPrefix(r.failure, "simulation of a history: want nobody called bob, got him\n"), r.failure)
	assert.Contains(t, r.failure, `#2 "bob" connects`)
	assert.NotContains(t, r.failure, `"ann"`, "who has nothing to do with it")
	assert.Contains(t, r.failure, "These are 1 of 5 steps, as bytes:\n\n\tsimulation.RunHistory(t, []byte(")
	assert.Contains(t, r.failure, "go test -run '^TestFailureReadsWell$' ./internal/simulation")
}

// FuzzSimulate looks for a history that breaks a promise.
func FuzzSimulate(f *testing.F) {
	for _, h := range []string{
		"",
		"C1+\x86\xfel\x01\x00\x00\x9a\xcf\x00d\xc9\x00\x10\x8c\x03\xd4+\x0f\x98j",
		"\x02\x1c6\xab\xb7>\x03\x01\x00\xd2\xce\x00n\x16\x01]=\x02\xd9\xd0\x01zo\x01\x8c\xa1\t+\xa5\x02\xc8\a\x02H\x04\x02\f\xc1\x066\xc8\x04;.",
		"Bu\xfb\xa0\x04:\x02\x00\x80\xedD\x819o\x860V\x00\xc8\xd6\x01\x7f\xb2\x8b\xc1\xce",
		"\xb4\xab\x99,\x85\xef\x00\x00\x00F\v\x00uc\x00\xf7\x1f\t2&\x01\xbd\xef\r\xcb\b",
		"\x82\xfb\xe1u\xa2\xb8\x01\x33\x00\f\xb4\x00\xc9M\x00h\"\x00\x9c\x10\t3\xb9\x00\x17\xbd\x01\x15t\x03eu\x01x\xf4\x01M\xe0\v\xf6\xdb\x01-\xce",
	} {
		f.Add([]byte(h))
	}
	f.Fuzz(simulation.RunHistory)
}

// FuzzSimulateCluster does the same for servers that share an order.
func FuzzSimulateCluster(f *testing.F) {
	for _, h := range []string{
		"",
		"\xf3\xa9\b\xe5\x05EV\a\x10po\x001?\x00\xf7\x82\x00k\xe9\a,\xc2\x04ʌ\x89\xb6e\x13\xad!\x8b9\xeb",
		"d#l\xb2S]:\x90\xdeZO\rì\x12\x9b\x15\x00#\xeb\x01/\xf0\x16Mk",
		"\xad" + "bDX\x19\xd1+\xc0\xa5`y\x00\x80\\\x00O\xcf\x00\xe6\x9b\x03b\xbd\x03\x83s\x0f\xbb\xc7",
		"M\xd1U\x19\x04\xe2\xb22\r0\x18\x00\xe4b\x00\x9c\x17\x00q\xb2\x00\xce\xf5\x00 \n\x00+\xe8\x00\x17\xe8\x00\"\x11\x00\xdbg\x00:H\x93\xce\x02\x01鞀\xd58\x01Aj",
	} {
		f.Add([]byte(h))
	}
	f.Fuzz(simulation.RunClusterHistory)
}

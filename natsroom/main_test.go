//go:build unix

package natsroom_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"example.com/chatroom/natsroom/internal/enginetest"
)

// childEnv tells the test's binary that it is a chat server, and where.
const childEnv = "NATSROOM_CHILD"

var shared sharedCluster

// buildEngine builds the command that runs a server of an engine, for the tests that need one.
var buildEngine = sync.OnceValues(func() (binary string, err error) {
	if engineDir, err = os.MkdirTemp("", "natsroom"); err != nil {
		return "", err
	}
	return enginetest.Build(engineDir)
})

// engineDir is where the command is, or empty.
var engineDir string

func TestMain(m *testing.M) {
	if where := os.Getenv(childEnv); where != "" {
		runChild(where)
		return
	}
	code := m.Run()
	shared.end()
	if engineDir != "" {
		_ = os.RemoveAll(engineDir) // of temporary files
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// startCluster starts an engine of three servers, which ends with the test.
func startCluster(tb testing.TB) *enginetest.Cluster {
	tb.Helper()
	binary, err := buildEngine()
	if err != nil {
		tb.Fatal(err)
	}
	return enginetest.Start(tb, binary, 3)
}

// A sharedCluster is an engine of three servers for the tests that leave it as it is.
type sharedCluster struct {
	once     sync.Once
	cluster  *enginetest.Cluster
	cleanups []func()
}

// get starts the engine if it does not run.
func (s *sharedCluster) get(t *testing.T) *enginetest.Cluster {
	t.Helper()
	s.once.Do(func() { s.cluster = startCluster(&sharedTB{T: t, s: s}) })
	if s.cluster == nil {
		t.Fatal("the shared engine has not started")
	}
	return s.cluster
}

func (s *sharedCluster) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

// A sharedTB is a test whose clean-up runs after all tests.
type sharedTB struct {
	*testing.T
	s *sharedCluster
}

func (t *sharedTB) Cleanup(f func()) { t.s.cleanups = append(t.s.cleanups, f) }

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

var (
	engineBinary string // the command that runs a server of an engine
	shared       sharedCluster
)

func TestMain(m *testing.M) {
	if where := os.Getenv(childEnv); where != "" {
		runChild(where)
		return
	}
	dir, err := os.MkdirTemp("", "natsroom")
	if err == nil {
		engineBinary, err = enginetest.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	shared.end()
	_ = os.RemoveAll(dir) // of temporary files
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
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
	s.once.Do(func() { s.cluster = enginetest.Start(&sharedTB{T: t, s: s}, engineBinary, 3) })
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

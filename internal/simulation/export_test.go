package simulation

import (
	"strings"
	"testing"
)

// Report runs h in bubbles of t's, and fails tb as Run does if wrong says so.
func Report(tb testing.TB, t *testing.T, h []byte, wrong func(h []byte) error) {
	k := single(t)
	run := k.run
	k.run = func(h history, trace *strings.Builder) error {
		if err := run(h, trace); err != nil {
			return err
		}
		return wrong(h)
	}
	k.report(tb, h, "a history")
}

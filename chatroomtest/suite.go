package chatroomtest

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

// A SuiteOption configures [TestServer], [TestClient] and [TestListener].
type SuiteOption interface{ applySuite(*suiteConfig) }

type suiteConfig struct {
	skip   map[string]string // the name of a case or a part to why it is skipped
	hang   time.Duration
	bubble bool
}

type suiteOption func(*suiteConfig)

func (f suiteOption) applySuite(c *suiteConfig) { f(c) }

// SkipCase skips a case of a suite, and says why in the test's log. The name is
// that of a case, such as "large", or that of one part of a case, such as
// "large/65536": the name of the subtest without that of the test. The default
// is to skip none. A name that no case and no part has fails the test, so that a
// skip does not outlive its case.
func SkipCase(name, why string) SuiteOption {
	return suiteOption(func(c *suiteConfig) { c.skip[name] = why })
}

// WithHangTimeout sets how long a case, or a part of one, may take. One that
// takes longer fails, and tells who waits for what. It is no measure of speed: set it
// well above what the slowest machine needs.
//
// The default, zero and negative are 10 seconds.
func WithHangTimeout(d time.Duration) SuiteOption {
	return suiteOption(func(c *suiteConfig) {
		if c.hang = d; d <= 0 {
			c.hang = hangTimeout
		}
	})
}

// InBubble runs each case inside a [testing/synctest] bubble of its own, in
// which a case that hangs is found out without waiting. The subject must then be
// made inside the bubble, by the function that the suite is given, and block on
// nothing but what is in it: no sockets, no processes; a [Listener] instead.
//
// The default is to run outside a bubble, over anything.
func InBubble() SuiteOption {
	return suiteOption(func(c *suiteConfig) { c.bubble = true })
}

// A suiteCase is a case, or a part of one. An R is a suiteRun and its subject.
type suiteCase[R any] struct {
	name string // "case" or "case/part"
	why  string // a clause; shown when the case fails
	run  func(R)
}

// A suitePart is what one part of a case is about.
type suitePart[P any] struct {
	name string // of lower-case letters, digits and hyphens
	of   P
}

// inParts returns the parts of a case.
func inParts[R, P any](name, why string, parts []suitePart[P], run func(R, P)) []suiteCase[R] {
	var cases []suiteCase[R]
	for _, p := range parts {
		cases = append(cases, suiteCase[R]{name + "/" + p.name, why, func(r R) { run(r, p.of) }})
	}
	return cases
}

// runSuite runs the cases that are not skipped, each with the R that start makes.
func runSuite[R any](t *testing.T, cases []suiteCase[R], start func(*suiteRun) R, opts []SuiteOption) {
	t.Helper()
	cfg := suiteConfig{skip: map[string]string{}, hang: hangTimeout}
	for _, o := range opts {
		o.applySuite(&cfg)
	}
	unknown := maps.Clone(cfg.skip)
	for _, c := range cases {
		whole, _, _ := strings.Cut(c.name, "/")
		delete(unknown, whole)
		delete(unknown, c.name)
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{whole, c.name} {
				if why, ok := cfg.skip[name]; ok {
					t.Skip(why)
				}
			}
			if cfg.bubble {
				synctest.Test(t, func(t *testing.T) { runCase(t, c, start, cfg.hang) })
				return
			}
			runCase(t, c, start, cfg.hang)
		})
	}
	for name := range unknown {
		t.Errorf("chatroomtest: no case and no part to skip is called %q", name)
	}
}

// numbered returns n messages, in the format's order.
func numbered(format string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

// messageSizes are parts of messages, each as many bytes long as its name says.
func messageSizes(sizes ...int) []suitePart[string] {
	var parts []suitePart[string]
	for _, n := range sizes {
		body := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		parts = append(parts, suitePart[string]{fmt.Sprint(n), body})
	}
	return parts
}

// largeSizes are around what buffers hold.
func largeSizes() []suitePart[string] {
	return messageSizes(1000, 1023, 1024, 1025, 4096, 4097, 16384, 32768, 65535, 65536, 100000, 1<<18)
}

// texts are parts of names and messages that have more bytes than characters.
func texts() []suitePart[string] {
	return []suitePart[string]{
		{"two-byte-characters", "grüße"},
		{"three-byte-characters", "naïve 你好"},
		{"four-byte-characters", "Zoë 🦀🦀🦀"},
		{"combining-characters", "e\u0301"},
	}
}

// exampleParts are the wire's examples of a file. A part has its example's name,
// with hyphens for all but letters and digits.
func exampleParts(file string) []suitePart[WireExample] {
	var parts []suitePart[WireExample]
	for _, example := range WireExamples(file) {
		words := strings.FieldsFunc(strings.ToLower(example.Name), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r)
		})
		parts = append(parts, suitePart[WireExample]{strings.Join(words, "-"), example})
	}
	return parts
}

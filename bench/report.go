//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// results holds the values of all rounds.
type results struct {
	peers     []*peer
	scenarios []*scenario
	cells     map[cellKey]*cell
}

type cellKey struct {
	scenario, column, peer string
}

// A cell is one peer in one column. It has a list of values for each figure, or
// says why there is none.
type cell struct {
	values [][]float64
	failed error
}

func (r *results) cell(s *scenario, c column, p *peer) *cell {
	key := cellKey{s.name, c.label, p.name}
	if r.cells[key] == nil {
		r.cells[key] = &cell{values: make([][]float64, len(s.figures))}
	}
	return r.cells[key]
}

// median returns the median of a figure in a cell, or NaN.
func (r *results) median(s *scenario, c column, p *peer, figure int) float64 {
	return median(r.cell(s, c, p).values[figure])
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// write prints everything as Markdown.
func (r *results) write(w io.Writer, rounds int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# The comparison\n\n%s; %s.\n%s\n\n", machine(), time.Now().UTC().Format(time.DateOnly), ofRounds(rounds))
	for _, p := range r.peers {
		fmt.Fprintf(&b, "- **%s**%s: %s.\n", p.name, version(p.module), p.how)
	}
	r.writeGlance(&b)
	for _, s := range r.scenarios {
		r.writeScenario(&b, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func ofRounds(n int) string {
	if n == 1 {
		return "One round."
	}
	return fmt.Sprintf("Medians of %d interleaved rounds, with their spread.", n)
}

// glances are the figures that say most, for one table of medians.
var glances = []struct {
	scenario *scenario
	column   string
	figure   int
	head     string
}{
	{closedScenario, "window 64, 100 members", 0, "CPU per delivery: windows of 64, 100 members"},
	{closedScenario, "window 64, 1,000 members", 0, "windows of 64, 1,000 members"},
	{closedScenario, "window 1, 100 members", 0, "windows of 1, 100 members"},
	{openScenario, "200 members", 1, "p99 at 39,800 deliveries a second"},
	{idleScenario, "10,000 members", 0, "memory per idle member"},
	{stalledScenario, "100 members", 0, "throughput beside one that never reads"},
	{joinScenario, "2,000 joins", 0, "joins per second"},
	{clusterScenario, "window 64", 0, "messages per second: windows of 64"},
	{clusterScenario, "window 64", 1, "CPU per delivery"},
	{clusterScenario, "window 64", 2, "the engine's CPU per message"},
	{clusterScenario, "window 64", 4, "p99"},
	{clusterScenario, "window 1", 0, "messages per second: windows of 1"},
	{clusterScenario, "window 1", 3, "p50"},
	{clusterScenario, "window 1", 4, "p99"},
}

// writeGlance writes one table of medians, of the glances that were measured.
func (r *results) writeGlance(b *strings.Builder) {
	heads, rows := "", make([]string, len(r.peers))
	for _, g := range glances {
		i := slices.IndexFunc(r.scenarios, func(s *scenario) bool { return s.name == g.scenario.name })
		if i < 0 {
			continue
		}
		s := r.scenarios[i]
		c := slices.IndexFunc(s.columns, func(c column) bool { return c.label == g.column })
		if c < 0 {
			continue
		}
		heads += " " + g.head + " |"
		for p, peer := range r.peers {
			cell := "–"
			if m := r.median(s, s.columns[c], peer, g.figure); !math.IsNaN(m) {
				cell = number(m)
				if unit := s.figures[g.figure].unit; unit != "" && unit != "/s" {
					cell += " " + unit
				}
			}
			rows[p] += " " + cell + " |"
		}
	}
	if heads == "" {
		return
	}
	fmt.Fprintf(b, "\n## At a glance\n\n| |%s\n|---|%s\n", heads, strings.Repeat("---:|", strings.Count(heads, "|")))
	for p, peer := range r.peers {
		fmt.Fprintf(b, "| %s |%s\n", peer.name, rows[p])
	}
}

func (r *results) writeScenario(b *strings.Builder, s *scenario) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", s.title, s.text)
	if len(s.columns) == 1 {
		// The figures are the columns.
		var heads []string
		for _, f := range s.figures {
			heads = append(heads, f.heading())
		}
		r.writeTable(b, s, heads, func(i int) (column, int) { return s.columns[0], i })
	} else {
		for f, figure := range s.figures {
			fmt.Fprintf(b, "\n%s\n", figure.heading())
			var heads []string
			for _, c := range s.columns {
				heads = append(heads, c.label)
			}
			r.writeTable(b, s, heads, func(i int) (column, int) { return s.columns[i], f })
		}
	}
	if s.notes != nil {
		s.notes(b, slices.DeleteFunc(slices.Clone(r.peers), func(p *peer) bool { return !s.isFor(p) }))
	}
	for _, c := range s.columns {
		for _, p := range r.peers {
			if err := r.cell(s, c, p).failed; err != nil {
				fmt.Fprintf(b, "\n%s, %s: %v.\n", p.name, c.label, err)
			}
		}
	}
}

func (f figure) heading() string {
	if f.unit == "" {
		return f.title
	}
	return f.title + ", " + f.unit
}

// writeTable writes a row for each peer. at returns which column and figure are
// in the i-th column of the table.
func (r *results) writeTable(b *strings.Builder, s *scenario, heads []string, at func(i int) (column, int)) {
	fmt.Fprintf(b, "\n| | %s |\n|---|%s\n", strings.Join(heads, " | "), strings.Repeat("---:|", len(heads)))
	for _, p := range r.peers {
		if !s.isFor(p) {
			continue
		}
		fmt.Fprintf(b, "| %s |", p.name)
		for i := range heads {
			c, f := at(i)
			fmt.Fprintf(b, " %s |", spread(r.cell(s, c, p).values[f]))
		}
		b.WriteByte('\n')
	}
}

// spread formats the median of values and their range. NaN is no value.
func spread(values []float64) string {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return "–"
	}
	m, low, high := number(median(values)), number(slices.Min(values)), number(slices.Max(values))
	if low == high {
		return m
	}
	return fmt.Sprintf("%s (%s–%s)", m, low, high)
}

// number formats x with three significant digits, or with all digits before the
// point if these are more.
func number(x float64) string {
	switch {
	case math.Abs(x) >= 100:
		return thousands(x)
	case math.Abs(x) >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

func thousands(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// machine describes this machine and what runs on it.
func machine() string {
	var uts unix.Utsname
	_ = unix.Uname(&uts) // an unknown kernel is named as empty
	cpu := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, Linux %s, %s %s/%s", runtime.NumCPU(), cpu, unix.ByteSliceToString(uts.Release[:]), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version returns the version of a module that is compiled in, after a space.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok || module == "" {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return " " + dep.Version
		}
	}
	return ""
}

//go:build linux

// Command bench compares chatroom with what else a program could embed for a
// chat room. It runs every server as a process of its own on loopback, loads
// each in the same ways, and prints Markdown.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "serve":
		err = serveProcess(args[1], args[2])
	case len(args) == 3 && args[0] == "share":
		err = shareProcess(args[1], args[2])
	case len(args) == 2 && args[0] == "engine":
		err = engineProcess(args[1])
	case len(args) == 3 && args[0] == "memory":
		err = memoryProcess(args[1], args[2])
	default:
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	quick := flag.Bool("quick", false, "one short round of what tells most: a first answer, in about a minute")
	moment := flag.Bool("moment", false, "run each scenario for a moment, at a tenth of its size: shows that all works, and measures nothing")
	rounds := flag.Int("rounds", 3, "how often to measure each figure")
	duration := flag.Duration("duration", time.Second, "how long to measure each time")
	peerList := flag.String("peers", "", "the `names` of the peers to run, separated by commas, of "+peerNames()+" (default all)")
	scenarioList := flag.String("scenario", "", "the `names` of the scenarios to run, separated by commas, of "+scenarioNames()+"; what stands before a slash is for all of them (default all but cluster)")
	svg := flag.String("svg", "", "draw charts into this `directory`")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}

	selected, err := selectPeers(*peerList)
	if err != nil {
		return err
	}
	chosen, err := selectScenarios(*scenarioList)
	if err != nil {
		return err
	}
	if selected, chosen = onlyUsed(selected, chosen); len(selected) == 0 {
		return errors.New("none of the scenarios is for any of the peers")
	}
	s := settings{duration: *duration, scale: 1}
	switch {
	case *quick:
		*rounds, s.duration, chosen = 1, 500*time.Millisecond, quickOnly(chosen)
	case *moment:
		*rounds, s.duration, s.scale = 1, 20*time.Millisecond, 10
	}
	r := &results{peers: selected, scenarios: chosen, cells: make(map[cellKey]*cell)}
	r.measure(*rounds, s)
	if err := r.write(os.Stdout, *rounds); err != nil {
		return err
	}
	if *svg != "" {
		if err := r.draw(*svg); err != nil {
			return err
		}
	}
	return r.failure(*moment)
}

// measure runs everything in turn, round by round, so that changes on the
// machine affect all alike.
func (r *results) measure(rounds int, s settings) {
	for round := range rounds {
		for _, sc := range r.scenarios {
			for _, c := range sc.columns {
				for _, p := range r.peers {
					if !sc.isFor(p) || p.maxMembers > 0 && c.members > p.maxMembers {
						continue
					}
					at := r.cell(sc, c, p)
					if at.failed != nil {
						continue
					}
					values, err := c.run(p, s)
					if err != nil {
						at.failed = err
						fmt.Fprintf(os.Stderr, "round %d: %s, %s, %s: %v\n", round+1, sc.name, c.label, p.name, err)
						continue
					}
					for f, v := range values {
						at.values[f] = append(at.values[f], v)
					}
					fmt.Fprintf(os.Stderr, "round %d: %s, %s, %s: %s %s\n", round+1, sc.name, c.label, p.name, number(values[0]), sc.figures[0].unit)
				}
			}
		}
	}
}

// failure returns an error if a measurement failed and strict is true.
func (r *results) failure(strict bool) error {
	failed := 0
	for _, c := range r.cells {
		if c.failed != nil {
			failed++
		}
	}
	if strict && failed > 0 {
		return fmt.Errorf("%d measurements failed", failed)
	}
	return nil
}

// isFor reports whether the scenario is for p. Peers that share a room must be named.
func (s *scenario) isFor(p *peer) bool {
	return s.only == "" && p.sharing == nil || slices.Contains(strings.Split(s.only, ","), p.name)
}

// onlyUsed returns the peers that a scenario is for, and the scenarios that are for a peer.
func onlyUsed(peers []*peer, scenarios []*scenario) ([]*peer, []*scenario) {
	usedPeers := slices.DeleteFunc(slices.Clone(peers), func(p *peer) bool {
		return !slices.ContainsFunc(scenarios, func(s *scenario) bool { return s.isFor(p) })
	})
	usedScenarios := slices.DeleteFunc(slices.Clone(scenarios), func(s *scenario) bool {
		return !slices.ContainsFunc(peers, s.isFor)
	})
	return usedPeers, usedScenarios
}

// selectScenarios returns the scenarios with the names in list, or those of the comparison. The
// name cluster is also for cluster/failures, and so on.
func selectScenarios(list string) ([]*scenario, error) {
	if list == "" {
		return slices.DeleteFunc(slices.Clone(scenarios), func(s *scenario) bool { return s.apart }), nil
	}
	var selected []*scenario
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		found := false
		for _, s := range scenarios {
			if s.name == name || strings.HasPrefix(s.name, name+"/") {
				selected, found = append(selected, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario %q: there are %s", name, scenarioNames())
		}
	}
	return selected, nil
}

func scenarioNames() string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// quickOnly returns the scenarios with those of their columns that are quick.
func quickOnly(all []*scenario) (quick []*scenario) {
	for _, s := range all {
		reduced := *s
		reduced.columns = slices.DeleteFunc(slices.Clone(s.columns), func(c column) bool { return !c.quick })
		if len(reduced.columns) > 0 {
			quick = append(quick, &reduced)
		}
	}
	return quick
}

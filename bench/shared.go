//go:build linux

package main

import (
	"fmt"
	"net"
)

// A sharedRoom is servers that run and share a room.
type sharedRoom struct {
	engine  *engine // nil if there is none
	servers []*process
	addrs   []string // where members connect
}

// startShared starts the servers of p, which share a room.
func startShared(p *peer) (_ *sharedRoom, err error) {
	r := &sharedRoom{}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	urls := "none"
	if p.sharing.engine {
		if r.engine, err = startEngine(p.sharing.streams); err != nil {
			return nil, err
		}
		urls = r.engine.urls()
	}
	for range p.sharing.servers {
		cmd, err := own("share", p.name, urls)
		if err != nil {
			return nil, err
		}
		s, err := startProcess(cmd)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, s)
	}
	for _, s := range r.servers {
		if err := s.awaitStart(); err != nil {
			return nil, fmt.Errorf("a server of %s did not start: %w", p.name, err)
		}
		r.addrs = append(r.addrs, s.addrs...)
	}
	if p.sharing.servers == 0 {
		r.addrs = r.engine.addrs()
	}
	return r, nil
}

// stop ends what runs.
func (r *sharedRoom) stop() {
	for _, s := range r.servers {
		s.stop()
	}
	if r.engine != nil {
		r.engine.stop()
	}
}

// cpu returns the processor time that the servers have used to which members connect, and that
// of the engine, if that is something else.
func (r *sharedRoom) cpu() (servers, engine float64) {
	for _, s := range r.servers {
		servers += s.cpu().Seconds()
	}
	if r.engine != nil {
		for _, n := range r.engine.nodes {
			engine += n.cpu().Seconds()
		}
	}
	if len(r.servers) == 0 {
		servers, engine = engine, 0
	}
	return servers, engine
}

// shareProcess is the other side of startShared. It serves until its input ends.
func shareProcess(name, urls string) error {
	p := findPeer(name)
	if p == nil || p.sharing == nil || p.sharing.serve == nil {
		return fmt.Errorf("no server %q", name)
	}
	addrs, err := serveOne(func(l net.Listener) error { return p.sharing.serve(l, urls) })(1)
	if err != nil {
		return err
	}
	return announce(addrs)
}

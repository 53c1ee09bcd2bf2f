package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.com/chatroom/natsroom/natstest"
)

const (
	engines     = 3      // so that any one may end
	clusterName = "demo" // that a server of one's own takes part in
	thisMachine = "127.0.0.1"

	// partTimeout is how long a process that was asked to end may take.
	partTimeout = shutdownTimeout + 5*time.Second
)

// A demo is servers that share their rooms on one machine, and the servers of NATS that they
// share them through, each a process of its own. The goroutine of "chatroom cluster" owns it.
type demo struct {
	p       *program
	parts   *parts
	dir     string // where the engines store
	urls    string // where they are
	engines []*part
	servers []*part
}

// cluster shows how servers share their rooms, until ctx ends. It waits until they have ended,
// too, but not when now has ended.
func (p *program) cluster(ctx, now context.Context, args []string) error {
	fs := newFlags("cluster")
	var addrs, webs []string
	add := func(to *[]string) func(string) error {
		return func(s string) error {
			a, err := parseAddress(s)
			if err == nil && a.tls {
				err = errors.New("a server of this demonstration has no certificate")
			}
			*to = append(*to, s)
			return err
		}
	}
	fs.Func("addr", "", add(&addrs))
	fs.Func("web", "", add(&webs))
	verbose := fs.Bool("verbose", false, "")
	if _, err := parseFlags(fs, args, 0); err != nil {
		return err
	}
	if len(addrs) == 0 {
		addrs = []string{defaultAddr, thisMachine + ":4322", thisMachine + ":4323"}
	}
	if len(webs) > len(addrs) {
		err := fmt.Errorf("-web: there are %d addresses for browsers and %d servers", len(webs), len(addrs))
		return &usageError{fs.Name(), err}
	}
	d, err := p.newDemo()
	if err != nil {
		return err
	}
	for i, addr := range addrs {
		args := []string{"serve", "-addr", addr, "-cluster", d.urls, "-cluster-name", clusterName}
		args = append(args, "-replicas", strconv.Itoa(engines))
		if i < len(webs) {
			args = append(args, "-web", webs[i])
		}
		if !*verbose {
			args = append(args, "-quiet")
		}
		d.servers = append(d.servers, &part{name: fmt.Sprint("server ", i+1), args: args})
	}
	defer d.end(now)
	if err := d.begin(ctx); err != nil {
		return err
	}
	d.explain()
	d.run(ctx)
	return nil
}

// newDemo returns a demo that has its engines, but no servers. Nothing is started yet.
func (p *program) newDemo() (*demo, error) {
	parts, err := newParts(p.stderr)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2 * engines)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chatroom-cluster")
	if err != nil {
		return nil, err
	}
	d := &demo{p: p, parts: parts, dir: dir}
	var urls, routes []string
	for i := range engines {
		urls = append(urls, "nats://"+ports[2*i])
		routes = append(routes, ports[2*i+1])
	}
	d.urls = strings.Join(urls, ",")
	for i := range engines {
		name := fmt.Sprint("engine ", i+1)
		node, err := json.Marshal(natstest.Node{
			Name: strings.ReplaceAll(name, " ", "-"), Dir: filepath.Join(dir, strconv.Itoa(i+1)),
			Addr: ports[2*i], Cluster: routes[i], Routes: routes,
		})
		if err != nil {
			return nil, err
		}
		d.engines = append(d.engines, &part{name: name, args: []string{engineCommand, string(node)}})
	}
	return d, nil
}

// freePorts returns addresses of this machine at which nobody listens. Their ports are below
// those that systems give to connections: one of these could take a port before its server does.
func freePorts(n int) (addrs []string, err error) {
	for tries := 0; len(addrs) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", thisMachine, 20000+rand.IntN(10000)))
		switch {
		case err == nil:
			defer l.Close() //nolint:errcheck // only when all have been found
			addrs = append(addrs, l.Addr().String())
		case tries == 100*n:
			return nil, err
		}
	}
	return addrs, nil
}

// begin starts the engines and then the servers, and returns when all can be reached.
func (d *demo) begin(ctx context.Context) error {
	for _, group := range [][]*part{d.engines, d.servers} {
		for _, x := range group {
			if err := d.parts.start(x); err != nil {
				return err
			}
		}
		for range group {
			select {
			case e := <-d.parts.events:
				e.part.take(e)
				if e.ended {
					return fmt.Errorf("%s did not start: %w", e.part.name, e.err)
				}
			case <-ctx.Done():
				return errQuiet
			}
		}
	}
	return nil
}

// run tells who ends, and starts them again when the user asks for it.
func (d *demo) run(ctx context.Context) {
	again := d.p.readEnters(ctx)
	for {
		select {
		case e := <-d.parts.events:
			was := e.part.process
			e.part.take(e)
			switch {
			case e.ended:
				d.say("%s, process %d, has ended (%v); Enter starts it again", e.part.name, was.Pid, e.err)
			default:
				d.say("%s is there again, as process %d", e.part.name, was.Pid)
			}
		case <-again:
			for _, x := range d.all() {
				if x.process == nil {
					if err := d.parts.start(x); err != nil {
						d.say("%v", err)
					}
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// end asks the servers to end, then the engines, since what is said last goes through these. It
// returns when all have ended. When now ends, it does not ask any more.
func (d *demo) end(now context.Context) {
	for _, group := range [][]*part{d.servers, d.engines} {
		for _, x := range group {
			x.leave()
		}
		late, cancel := context.WithTimeout(now, partTimeout)
		stop := late.Done()
		for anyRuns(group) {
			select {
			case e := <-d.parts.events:
				e.part.take(e)
			case <-stop:
				for _, x := range group {
					x.kill()
				}
				stop = nil
			}
		}
		cancel()
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.say("%v", err)
	}
}

func anyRuns(group []*part) bool {
	for _, x := range group {
		if x.process != nil {
			return true
		}
	}
	return false
}

func (d *demo) all() []*part { return append(append([]*part(nil), d.engines...), d.servers...) }

// readEnters returns a channel that has something for each line of the standard input.
func (p *program) readEnters(ctx context.Context) <-chan struct{} {
	enters := make(chan struct{})
	readInBackground()
	go func() { // ends with ctx or the input
		in := bufio.NewReader(p.stdin)
		for {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			select {
			case enters <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return enters
}

// say tells the user something, on lines of its own.
func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.p.stderr, format+"\n", args...) }

// explain tells the user what there is to try.
func (d *demo) explain() {
	names := []string{"ann", "ben", "cem", "dora", "eli"}
	var b strings.Builder
	fmt.Fprintf(&b, "%d servers share a room. Join it at any of them, from other terminals:\n\n", len(d.servers))
	for i, x := range d.servers {
		fmt.Fprintf(&b, "    chatroom join -reconnect -name %s %s\n", names[i%len(names)], x.where[0])
	}
	for _, x := range d.servers {
		if web := x.where[1]; web != "" {
			fmt.Fprintf(&b, "    %s    in a browser\n", web)
		}
	}
	fmt.Fprintf(&b, "\nKill a server, and the members of the others talk on. Its own come back to it, or join\n"+
		"another one. Kill one of the %d engines (NATS JetStream), and nobody misses anything:\n\n", engines)
	for _, x := range d.all() {
		fmt.Fprintf(&b, "    %s %-8d  %s\n", killCommand, x.process.Pid, x.name)
	}
	fmt.Fprintf(&b, "\nAdd a server:\n\n    chatroom serve -addr %s:4330 -cluster-name %s \\\n        -cluster %s\n"+
		"\nEnter starts again what has ended. Ctrl-C ends all.\n", thisMachine, clusterName, d.urls)
	d.say("%s", strings.TrimSuffix(b.String(), "\n"))
}

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"time"

	"example.com/chatroom"
)

// shutdownTimeout is how long the members have to take what they are owed when
// the room closes.
const shutdownTimeout = 10 * time.Second

// listenFlags are the flags that say where to host.
type listenFlags struct {
	addr      []string
	cert, key string
	web       webFlag

	addrs []address // set by check
}

func (f *listenFlags) register(fs *flag.FlagSet) {
	fs.Func("addr", "", func(s string) error {
		f.addr = append(f.addr, s)
		return nil
	})
	fs.StringVar(&f.cert, "cert", "", "")
	fs.StringVar(&f.key, "key", "", "")
	f.web.register(fs)
}

// check parses the addresses, or the default one, and checks that the flags go
// together.
func (f *listenFlags) check() error {
	if len(f.addr) == 0 {
		f.addr = []string{defaultAddr}
	}
	for _, s := range f.addr {
		a, err := parseAddress(s)
		if err != nil {
			return err
		}
		f.addrs = append(f.addrs, a)
	}
	files := f.cert != "" && f.key != ""
	switch {
	case f.needTLS() && !files:
		return errors.New("a tls: address needs -cert and -key")
	case !f.needTLS() && (f.cert != "" || f.key != ""):
		return errors.New("-cert and -key need a tls: address")
	}
	return nil
}

func (f *listenFlags) needTLS() bool {
	if f.web.addr != nil && f.web.addr.tls {
		return true
	}
	for _, a := range f.addrs {
		if a.tls {
			return true
		}
	}
	return false
}

// listen listens on all the addresses, or on none. The listener for browsers may be nil.
// It gives up when ctx ends.
func (f *listenFlags) listen(ctx context.Context) (ls []net.Listener, web net.Listener, err error) {
	var config *tls.Config
	if f.needTLS() {
		load := func() (*tls.Config, error) { return serverTLS(f.cert, f.key) }
		if config, err = orLeave(ctx, load); err != nil {
			return nil, nil, err
		}
	}
	if web, err = f.web.listen(ctx, config); err != nil {
		return nil, nil, err
	}
	for _, a := range f.addrs {
		l, err := a.listen(ctx, config)
		if err != nil {
			closeAll(append(ls, web)...)
			if errors.Is(err, errAddrInUse) {
				err = a.explainInUse()
			}
			return nil, nil, unlessLeft(ctx, err)
		}
		ls = append(ls, l)
	}
	return ls, web, nil
}

// closeAll closes listeners to which nobody has connected that matters. Some may be nil.
func closeAll(ls ...net.Listener) {
	for _, l := range ls {
		if l != nil {
			_ = l.Close()
		}
	}
}

// serve hosts a room until ctx ends. Then it sends out what the members are
// owed, until that is done or now ends.
func (p *program) serve(ctx, now context.Context, args []string) error {
	fs := newFlags("serve")
	var where listenFlags
	where.register(fs)
	var rooms roomFlags
	rooms.register(fs)
	var cluster clusterFlags
	cluster.register(fs)
	quiet := fs.Bool("quiet", false, "")
	debugAddr := fs.String("debug-addr", "", "")
	if _, err := parseFlags(fs, args, 0); err != nil {
		return err
	}
	if err := cmp.Or(where.check(), rooms.check(), cluster.check(fs)); err != nil {
		return &usageError{fs.Name(), err}
	}
	debug, err := listenDebug(ctx, *debugAddr)
	if err != nil {
		return err
	}
	ls, web, err := where.listen(ctx)
	if err != nil {
		closeAll(debug)
		return err
	}
	level := p.level
	if *quiet {
		level = slog.LevelWarn
	}
	logger := newLogger(p.stderr, level)
	seat, err := cluster.join(ctx, logger)
	if err != nil {
		closeAll(append(ls, web, debug)...)
		return err
	}
	defer seat.leave()
	opts := append(seat.options(), chatroom.WithLogger(logger))
	srv := chatroom.NewServer(append(opts, rooms.options()...)...)
	ended := serveAll(srv, ls)
	defer serveDebug(debug, srv, seat, logger)()
	site := where.web.serve(web, srv, rooms.rooms, logger)
	defer site.stop()
	if p.ready != nil {
		p.ready(where.addrs[0].of(ls[0]).String(), site.address())
	}

	select {
	case err = <-ended:
		_ = shutdown(now, srv) // the listener's error says more
		return err
	case <-ctx.Done():
		logger.Info("shutting down", "members", srv.Stats().Members)
		return seat.blame(shutdown(now, srv))
	}
}

// serveAll serves srv on each of ls, on goroutines that end with srv. The
// returned channel has room for the error of each.
func serveAll(srv *chatroom.Server, ls []net.Listener) <-chan error {
	ended := make(chan error, len(ls))
	for _, l := range ls {
		go func() { ended <- srv.Serve(l) }()
	}
	return ended
}

// shutdown ends srv gracefully. When that takes too long or now ends, it ends
// srv immediately.
func shutdown(now context.Context, srv *chatroom.Server) error {
	ctx, cancel := context.WithTimeout(now, shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if err == nil {
		return nil
	}
	// The connections are closed now, and leave hooks take no time, so the log
	// will be whole. But TLS may be stuck in its goodbye.
	leaves, cancelLeaves := context.WithTimeout(context.Background(), endTimeout)
	defer cancelLeaves()
	_ = srv.Shutdown(leaves)
	if now.Err() != nil {
		return errors.New("ended at once, before the members had all they were owed")
	}
	return fmt.Errorf("some members did not take what they were owed within %v", shutdownTimeout)
}

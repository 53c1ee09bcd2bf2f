package main

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/chatroom"
	"example.com/chatroom/promroom"
)

// listenDebug listens where the flag -debug-addr says: at HOST:PORT or
// unix:PATH. It returns no listener if the flag was not given.
func listenDebug(ctx context.Context, flag string) (net.Listener, error) {
	if flag == "" {
		return nil, nil
	}
	where, err := parseAddress(flag)
	switch {
	case err != nil:
		return nil, &usageError{"chatroom serve", fmt.Errorf("-debug-addr: %w", err)}
	case where.tls:
		return nil, &usageError{"chatroom serve", errors.New("-debug-addr cannot be a tls: address")}
	}
	l, err := where.listen(ctx, nil)
	if err != nil {
		return nil, unlessLeft(ctx, fmt.Errorf("-debug-addr: %w", err))
	}
	return l, nil
}

// serveDebug tells over l, which may be nil, how srv, its place in a cluster and the
// process are doing, until stop is called.
func serveDebug(l net.Listener, srv *chatroom.Server, seat *clusterSeat, logger *slog.Logger) (stop func()) {
	if l == nil {
		return func() {}
	}
	s := &http.Server{
		Handler:           debugHandler(srv, seat),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	logger.Info("debug", "addr", l.Addr().String())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("debug ended", "error", err)
		}
	}()
	return func() {
		_ = s.Close() // nobody is owed an answer
		<-ended
	}
}

// debugHandler has the figures of srv for Prometheus and as variables, those of its place in
// a cluster as variables only, and the profiles of the process. It shares none of the
// process's global handlers.
func debugHandler(srv *chatroom.Server, seat *clusterSeat) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		promroom.NewCollector(srv),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/vars", func(w http.ResponseWriter, _ *http.Request) { writeVars(w, srv, seat) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// writeVars writes what expvar's own handler does, and the figures of srv as
// "chatroom", and of its place in a cluster as "cluster". A variable that is published
// stays for the life of the process, which the server's may not.
func writeVars(w http.ResponseWriter, srv *chatroom.Server, seat *clusterSeat) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	stats := expvar.Func(func() any { return srv.Stats() })
	fmt.Fprintf(w, "{\n%q: %s", "chatroom", stats)
	if seat != nil {
		fmt.Fprintf(w, ",\n%q: %s", "cluster", expvar.Func(seat.stats))
	}
	expvar.Do(func(v expvar.KeyValue) { fmt.Fprintf(w, ",\n%q: %s", v.Key, v.Value) })
	fmt.Fprintf(w, "\n}\n")
}

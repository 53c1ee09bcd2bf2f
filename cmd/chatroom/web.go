package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
	"example.com/chatroom/wsroom/web"
)

// A webFlag is the flag that says where browsers join.
type webFlag struct{ addr *address }

func (f *webFlag) register(fs *flag.FlagSet) {
	fs.Func("web", "", func(s string) error {
		a, err := parseAddress(s)
		f.addr = &a
		return err
	})
}

// listen listens there, with config if it is a TLS address. It returns no listener if the
// flag was not given.
func (f *webFlag) listen(ctx context.Context, config *tls.Config) (net.Listener, error) {
	if f.addr == nil {
		return nil, nil
	}
	l, err := f.addr.listen(ctx, config)
	if err != nil {
		return nil, unlessLeft(ctx, fmt.Errorf("-web: %w", err))
	}
	return l, nil
}

// A webSite is where browsers join a room. A nil one is nowhere.
type webSite struct {
	l     net.Listener
	url   string
	srv   *http.Server
	ended chan struct{}
}

// serve lets browsers join srv over l, which may be nil, until stop is called. With rooms,
// a path after /ws/ names one.
func (f *webFlag) serve(l net.Listener, srv *chatroom.Server, rooms bool, logger *slog.Logger) *webSite {
	if l == nil {
		return nil
	}
	s := &webSite{l: l, url: webURL(l.Addr(), f.addr), ended: make(chan struct{})}
	s.srv = &http.Server{
		Handler:           webHandler(srv, rooms),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // what strangers send
	}
	logger.Info("web", "url", s.url)
	go func() {
		defer close(s.ended)
		if err := s.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("no browser joins any more", "error", err)
		}
	}()
	return s
}

// stop ends the page. Members stay until their server ends.
func (s *webSite) stop() {
	if s == nil {
		return
	}
	_ = s.srv.Close() // nobody is owed an answer
	<-s.ended
}

// address returns what to open in a browser, or "".
func (s *webSite) address() string {
	if s == nil {
		return ""
	}
	return s.url
}

// webURL returns what to open in a browser for what listens at addr, as where has asked.
func webURL(addr net.Addr, where *address) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return where.String()
	}
	scheme, host := "http", tcp.String()
	if where.tls {
		scheme = "https"
	}
	if tcp.IP.IsUnspecified() {
		host = fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return scheme + "://" + host + "/"
}

// webHandler has the page at / and the socket at /ws and, with rooms, at /ws/ROOM.
func webHandler(srv *chatroom.Server, rooms bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.Handle("/ws", wsroom.Handler(srv))
	if rooms {
		mux.Handle("/ws/{room}", wsroom.Handler(srv, wsroom.WithRoom(func(r *http.Request) (string, error) {
			room := r.PathValue("room")
			return room, checkRoom(room)
		})))
	}
	return mux
}

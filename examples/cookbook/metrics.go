package cookbook

import (
	"expvar"
	"net/http"

	"example.com/chatroom"
	"example.com/chatroom/promroom"
)

// Publish shows the server's figures under that name at /debug/vars.
func Publish(name string, s *chatroom.Server) {
	expvar.Publish(name, expvar.Func(func() any { return s.Stats() }))
}

// Metrics serves the figures of the server and of some of its rooms to Prometheus.
func Metrics(mux *http.ServeMux, s *chatroom.Server, rooms ...chatroom.Room) {
	mux.Handle("/metrics", promroom.Handler(s, rooms...))
}

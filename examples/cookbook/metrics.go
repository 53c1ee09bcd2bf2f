package cookbook

import (
	"expvar"
	"net/http"

	"example.com/chatroom"
	"example.com/chatroom/promroom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Publish shows the server's figures under that name at /debug/vars.
func Publish(name string, s *chatroom.Server) {
	expvar.Publish(name, expvar.Func(func() any { return s.Stats() }))
}

// Metrics serves the figures of the server and of some of its rooms to Prometheus.
func Metrics(s *chatroom.Server, rooms ...chatroom.Room) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(promroom.NewCollector(s))
	registry.MustRegister(promroom.NewRoomCollector(func() []chatroom.Room { return rooms }))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

//go:build linux

package main

import (
	"net"
	"net/http"

	"github.com/olahol/melody"
)

var melodyPeer = &peer{
	name:    "melody",
	module:  "github.com/olahol/melody",
	how:     "BroadcastOthers from the message handler; queues raised from 256 to 1,024 messages, without which it drops some",
	serve:   serveOne(serveMelody),
	newWire: newWebSocketWire,
}

func serveMelody(l net.Listener) error {
	m := melody.New()
	m.Config.MessageBufferSize = queueLen
	m.HandleMessage(func(s *melody.Session, text []byte) {
		_ = m.BroadcastOthers(text, s) // fails when the server ends
	})
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = m.HandleRequest(w, r) // the peer's end
	}))
}

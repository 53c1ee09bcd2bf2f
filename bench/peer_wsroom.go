//go:build linux

package main

import (
	"net"
	"net/http"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
)

var wsroomPeer = &peer{
	name:    "wsroom",
	how:     "chatroom over WebSocket, all options at their defaults",
	serve:   serveOne(serveWSRoom),
	newWire: newWSRoomWire,
}

func serveWSRoom(l net.Listener) error {
	return http.Serve(l, wsroom.Handler(chatroom.NewServer()))
}

// newWSRoomWire wraps the tutorials' protocol in WebSocket messages.
func newWSRoomWire(member int) wire {
	w := newChatroomWire(member)
	plain := w.encode
	w.encode = func(payload []byte) []byte { return maskedFrame(2, plain(payload)) }
	w.enter = func(nc *socket) error {
		if err := nc.upgrade("/"); err != nil {
			return err
		}
		_, err := nc.Write(maskedFrame(2, chatroom.AppendFrame(nil, memberName(member))))
		return err
	}
	w.framed = true
	return w
}

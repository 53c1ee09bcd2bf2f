//go:build linux

package main

import (
	"fmt"

	"example.com/chatroom"
)

var chatroomPeer = &peer{
	name:    "chatroom",
	how:     "all options at their defaults",
	serve:   serveChatroom,
	newWire: newChatroomWire,
}

func serveChatroom(rooms int) ([]string, error) {
	addrs := make([]string, rooms)
	for i := range addrs {
		one, err := serveOne(chatroom.NewServer().Serve)(1)
		if err != nil {
			return nil, err
		}
		addrs[i] = one[0]
	}
	return addrs, nil
}

// newChatroomWire is shared by all servers that speak the tutorials' protocol.
func newChatroomWire(member int) wire {
	name := chatroom.AppendFrame(nil, memberName(member))
	overhead := len(name) + len(chatroom.AppendFrame(nil, nil))
	return wire{
		enter: func(nc *socket) error {
			_, err := nc.Write(name)
			return err
		},
		encode:   func(payload []byte) []byte { return chatroom.AppendFrame(nil, payload) },
		delivery: overhead + payloadLen,
		stampAt:  overhead,
	}
}

func memberName(member int) []byte { return fmt.Appendf(nil, "m%05d", member) }

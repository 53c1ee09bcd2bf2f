//go:build linux

package main

import (
	"context"
	"log/slog"
	"net"
	"os"

	"github.com/centrifugal/centrifuge"

	"example.com/chatroom"
	"example.com/chatroom/natsroom"
)

// A sharing is how servers share a room.
type sharing struct {
	// servers is how many there are. If it is zero, the servers are those of the engine, and
	// members connect to these.
	servers int

	engine  bool // whether there is an engine
	streams bool // whether the engine has streams

	// serve serves the room until the process ends, with an engine at these URLs.
	serve func(l net.Listener, engine string) error

	// What is promised, for the notes under the tables.
	order, loss, repeats string
}

var sharingPeers = []*peer{
	aloneSharing,
	orderSharing("chatroom-order-1", 1, "one server"),
	orderSharing("chatroom-order-3", 3, "three servers"),
	centrifugeSharing,
	natsSharing,
}

var aloneSharing = &peer{
	name:    "chatroom-1",
	how:     "one server without an order, all options at their defaults",
	newWire: newChatroomWire,
	sharing: &sharing{
		servers: 1,
		serve:   func(l net.Listener, _ string) error { return chatroom.NewServer().Serve(l) },
		order:   "one sequence for all",
		loss:    "none while the server runs; what is under way goes with it",
		repeats: "none",
	},
}

// orderSharing is the room on that many servers of chatroom's, which share an order.
func orderSharing(name string, servers int, how string) *peer {
	return &peer{
		name: name,
		how: how + " with natsroom, each message stored in files by three servers of the engine; the rest default, " +
			"so the engine acknowledges before the disks have it",
		newWire: newChatroomWire,
		sharing: &sharing{
			servers: servers,
			engine:  true,
			streams: true,
			serve:   serveOrder,
			order:   "one sequence for all, on every server",
			loss: "none of what the engine has acknowledged, also if one of its servers fails; a chat server that fails takes along what it has read and the engine has not; " +
				"whoever misses anything else is disconnected, and so knows",
			repeats: "none, also after retries",
		},
	}
}

func serveOrder(l net.Listener, engine string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	nc, err := natsroom.Connect(engine)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	order, err := natsroom.Open(ctx, nc, "bench", natsroom.WithReplicas(engineServers), natsroom.WithLogger(log))
	if err != nil {
		return err
	}
	return chatroom.NewServer(chatroom.WithOrder(order)).Serve(l)
}

var centrifugeSharing = &peer{
	name:   "centrifuge-3",
	module: "github.com/centrifugal/centrifuge",
	how: "three nodes with a broker of this program's on subjects of the engine, which has no streams then; it sends bare texts where the library's example of such a broker sends JSON; " +
		"echoes count, as in the comparison",
	newWire: newCentrifugeWire,
	sharing: &sharing{
		servers: 3,
		engine:  true,
		serve:   serveCentrifugeSharing,
		order:   "that of each publisher; nodes may see publishers in different sequences",
		loss:    "at most once: what is under way when a connection or a server fails is lost, and nobody is told",
		repeats: "none",
	},
}

func serveCentrifugeSharing(l net.Listener, engine string) error {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return err
	}
	broker, err := newNATSBroker(node, engine)
	if err != nil {
		return err
	}
	node.SetBroker(broker)
	return serveCentrifugeNode(l, node)
}

var natsSharing = &peer{
	name:    "nats-server-3",
	module:  engineModule,
	how:     "three servers of a cluster without streams, one subject; members are their clients, with echo off",
	newWire: newNATSWire,
	sharing: &sharing{
		engine:  true,
		order:   "that of each publisher; clients may see publishers in different sequences",
		loss:    "at most once: what is under way when a connection or a server fails is lost, and nobody is told",
		repeats: "none",
	},
}

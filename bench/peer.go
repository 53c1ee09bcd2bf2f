//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// payloadLen is the length of every message's text in bytes.
const payloadLen = 128

// A peer is one of the servers that are compared.
type peer struct {
	name   string // as in -peers and the tables
	module string // the module whose version is shown; empty for a part of this program
	how    string // how it is set up, for the notes under the tables

	// serve starts the server with that many rooms and returns an address for
	// each. It runs in a process of its own, and the server with that process.
	serve func(rooms int) ([]string, error)

	// exec may be set in place of serve. It returns a program that serves one
	// room and behaves as serveProcess does.
	exec func() *exec.Cmd

	// sharing is set in place of serve for servers that share a room.
	sharing *sharing

	// maxMembers is how many connections the server can have; zero is any number.
	maxMembers int

	// newWire returns a new member's way to speak to the server.
	newWire func(member int) wire
}

// A wire is the way in which one member speaks to a server.
type wire struct {
	// enter makes a new connection a member. It reads exactly what the server
	// sends until then.
	enter func(nc *socket) error

	// encode returns what a member sends so that the others receive payload.
	encode func(payload []byte) []byte

	delivery int  // length of a delivery in bytes
	stampAt  int  // where in a delivery its payload begins
	framed   bool // deliveries are in WebSocket frames, whose headers do not count
	echo     bool // a sender receives its own messages as well
	receipt  int  // bytes of the receipt that a sender gets for each of its messages
}

var peers []*peer

func init() {
	peers = []*peer{
		chatroomPeer,
		wsroomPeer,
		floorPeer,
		natsPeer,
		gorillaPeer,
		centrifugePeer,
		gwsPeer,
		melodyPeer,
		pythonPeer,
		mochiPeer,
		coderPeer,
	}
	peers = append(peers, sharingPeers...)
}

// selectPeers returns the peers with the names in list, or all.
func selectPeers(list string) ([]*peer, error) {
	if list == "" {
		return peers, nil
	}
	var selected []*peer
	for name := range strings.SplitSeq(list, ",") {
		p := findPeer(strings.TrimSpace(name))
		if p == nil {
			return nil, fmt.Errorf("no peer %q: there are %s", name, peerNames())
		}
		selected = append(selected, p)
	}
	return selected, nil
}

func findPeer(name string) *peer {
	for _, p := range peers {
		if p.name == name {
			return p
		}
	}
	return nil
}

func peerNames() string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

// listen returns a listener on a free port of loopback.
func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// serveOne adapts a server that has one room. serve serves a listener until the
// process ends.
func serveOne(serve func(net.Listener) error) func(int) ([]string, error) {
	return func(rooms int) ([]string, error) {
		if rooms != 1 {
			return nil, fmt.Errorf("has one room, not %d", rooms)
		}
		l, err := listen()
		if err != nil {
			return nil, err
		}
		go func() {
			fmt.Fprintln(os.Stderr, "bench: server ended:", serve(l))
			os.Exit(1)
		}()
		return []string{l.Addr().String()}, nil
	}
}

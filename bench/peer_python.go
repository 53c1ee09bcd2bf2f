//go:build linux

package main

import (
	_ "embed"
	"os/exec"
)

//go:embed server.py
var pythonServer string

var pythonPeer = &peer{
	name:       "python",
	how:        "part of this program: a select server in the style of the tutorials, which sends to each client in turn and waits for it; python3",
	exec:       func() *exec.Cmd { return exec.Command("python3", "-c", pythonServer) },
	maxMembers: 1001, // select knows 1,024 descriptors
	newWire:    newChatroomWire,
}

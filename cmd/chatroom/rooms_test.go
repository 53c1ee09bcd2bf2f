package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplitName(t *testing.T) {
	for in, want := range map[string][2]string{
		"ann":           {"ann", ""},
		"ann@work":      {"ann", "work"},
		"ann@":          {"ann", ""},
		"ann@home@work": {"ann@home", "work"},
		"@work":         {"", "work"},
	} {
		name, room := splitName(in)
		assert.Equal(t, want, [2]string{name, room}, in)
	}
}

func TestRoomFlag(t *testing.T) {
	var f roomFlag
	assert.Equal(t, "ann@home", f.ask("ann@home"))
	require.NoError(t, f.set(""))
	assert.Equal(t, "ann@home@", f.ask("ann@home"), "the room without a name was asked for")
	require.NoError(t, f.set("work"))
	assert.Equal(t, "ann@home@work", f.ask("ann@home"))
	for _, bad := range []string{"a@b", " a", "\u202e", "a\x1b"} {
		assert.Error(t, f.set(bad), bad)
	}
}

// TestJoinRoom hosts two rooms, one with each way to do so, and joins each.
func TestJoinRoom(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0", "-rooms")
	follower := startFollower(t, server, "f", addr, "-room", "work")
	for _, room := range []string{"home", "work"} {
		status, _, stderr := runToEnd(t, room+"\n", "join", "-name", "a", "-room", room, addr)
		assert.Equal(t, 0, status, stderr)
	}
	server.leave()
	assert.Equal(t, 0, server.wait())
	assert.Equal(t, 0, follower.wait())
	assert.Equal(t, "a > work\n", follower.stdout.String())

	path := socketPath(t)
	host := startRun(t, "-addr", "unix:"+path, "-name", "host", "-room", "work")
	for hosted := false; !hosted; { // in a pipe the host does not say when it listens
		select {
		case <-host.done:
			require.FailNow(t, "the host has ended", host.stderr.String())
		default:
			status, _, _ := runToEnd(t, "hi\n", "join", "-name", "a", "-room", "work", "unix:"+path)
			hosted = status == 0
		}
	}
	assert.Equal(t, "a > hi", host.stdout.await("hi"))
}

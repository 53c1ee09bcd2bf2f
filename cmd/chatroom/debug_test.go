package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// get asks for a page over a connection of its own.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(all)
}

func TestDebug(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0", "-debug-addr", "127.0.0.1:0")
	_, debugAddr, _ := strings.Cut(server.stderr.await("msg=debug"), " addr=")
	conn, err := chatroom.Dial(t.Context(), "tcp", addr, "a")
	require.NoError(t, err)
	defer conn.Close()
	server.stderr.await("name=a")

	status, body := get(t, "http://"+debugAddr+"/metrics")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "\nchatroom_members 1\n")
	assert.Contains(t, body, "\ngo_goroutines ")

	_, body = get(t, "http://"+debugAddr+"/debug/vars")
	var vars struct {
		Chatroom chatroom.Stats
		Memstats map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(body), &vars))
	assert.Equal(t, 1, vars.Chatroom.Members)
	assert.NotEmpty(t, vars.Memstats)

	for path, want := range map[string]int{
		"/debug/pprof/": http.StatusOK, "/debug/pprof/heap": http.StatusOK, "/debug/pprof/cmdline": http.StatusOK,
		"/": http.StatusNotFound, "/debug/": http.StatusNotFound,
	} {
		status, _ := get(t, "http://"+debugAddr+path)
		assert.Equal(t, want, status, path)
	}

	server.leave()
	assert.Equal(t, 0, server.wait())
	_, err = net.Dial("tcp", debugAddr)
	assert.ErrorIs(t, err, errConnRefused)
}

// Nothing is hosted if nothing can be told of it.
func TestDebugAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	path := socketPath(t)
	status, _, stderr := runToEnd(t, "", "serve", "-addr", "unix:"+path, "-debug-addr", l.Addr().String())
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "chatroom: -debug-addr: listen tcp "+l.Addr().String())
	assert.NoFileExists(t, path)

	// And the other way round.
	debug := socketPath(t)
	status, _, _ = runToEnd(t, "", "serve", "-addr", l.Addr().String(), "-debug-addr", "unix:"+debug)
	assert.Equal(t, 1, status)
	assert.NoFileExists(t, debug)
}

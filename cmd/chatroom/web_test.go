package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
)

// Who comes over WebSocket meets who comes over TCP, in the room of the path.
func TestWeb(t *testing.T) {
	server, addr := startServer(t, "127.0.0.1:0", "-web", "127.0.0.1:0", "-rooms")
	_, url, _ := strings.Cut(server.stderr.await("msg=web"), " url=")
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/$`, url)
	dialer := chatroom.WithDialer(new(wsroom.Dialer).DialContext)
	for room, path := range map[string]string{"": "ws", "lobby": "ws/lobby"} {
		here, there := "ann"+room, "ben"+room // each is awaited in the log by its name
		ann, err := chatroom.Dial(t.Context(), "", "ws"+strings.TrimPrefix(url, "http")+path, here, dialer)
		require.NoError(t, err)
		server.stderr.await("name=" + here + " ")
		ben, err := chatroom.Dial(t.Context(), "tcp", addr, nameInRoom(there, room))
		require.NoError(t, err)
		server.stderr.await("name=" + there + " ")
		require.NoError(t, ann.Send(t.Context(), []byte("hello from "+path)))
		m := receive(t, ben)
		assert.Equal(t, chatroom.Message{From: here, Body: []byte("hello from " + path)}, m)
		require.NoError(t, ann.Close())
		require.NoError(t, ben.Close())
	}
	status, page := get(t, url)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, page, "<!doctype html>")
	status, _ = get(t, url+"ws/%40")
	assert.Equal(t, http.StatusNotFound, status)

	server.leave()
	assert.Equal(t, 0, server.wait())
	_, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(url, "http:"), "/"))
	assert.ErrorIs(t, err, errConnRefused)
}

// Without -rooms there is one room, whatever a browser asks for.
func TestWebWithoutRooms(t *testing.T) {
	server, _ := startServer(t, "127.0.0.1:0", "-web", "127.0.0.1:0")
	_, url, _ := strings.Cut(server.stderr.await("msg=web"), " url=")
	_, err := new(wsroom.Dialer).DialContext(t.Context(), "", "ws"+strings.TrimPrefix(url, "http")+"ws/lobby")
	require.Error(t, err)
	server.leave()
	assert.Equal(t, 0, server.wait())
}

func TestWebURL(t *testing.T) {
	for _, tt := range []struct{ flag, want string }{
		{":0", "http://localhost:"},
		{"127.0.0.1:0", "http://127.0.0.1:"},
		{"tls:127.0.0.1:0", "https://127.0.0.1:"},
	} {
		where, err := parseAddress(tt.flag)
		require.NoError(t, err)
		l, err := net.Listen("tcp", where.addr)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(webURL(l.Addr(), &where), tt.want), webURL(l.Addr(), &where))
		require.NoError(t, l.Close())
	}
}

// Nothing is hosted if browsers cannot join, and the other way round.
func TestWebAddressInUse(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	path := socketPath(t)
	status, _, stderr := runToEnd(t, "", "serve", "-addr", "unix:"+path, "-web", l.Addr().String())
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "chatroom: -web: listen tcp "+l.Addr().String())
	assert.NoFileExists(t, path)

	web := socketPath(t)
	status, _, _ = runToEnd(t, "", "-name", "a", "-addr", l.Addr().String(), "-web", "unix:"+web)
	assert.Equal(t, 1, status)
	assert.NoFileExists(t, web)
}

package cookbook_test

import (
	"encoding/json"
	"expvar"
	"fmt"
	"net/http"
	"testing"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/examples/cookbook"
	"github.com/stretchr/testify/require"
)

func TestPublish(t *testing.T) {
	s := chatroomtest.NewServer(t)
	name := fmt.Sprintf("chatroom %p", s) // one more each time that the test runs
	cookbook.Publish(name, s.Server)
	s.Join("alice")
	var st chatroom.Stats
	require.NoError(t, json.Unmarshal([]byte(expvar.Get(name).String()), &st))
	require.Equal(t, uint64(1), st.Joins)
}

func TestMetrics(t *testing.T) {
	s := chatroomtest.NewServer(t)
	metrics := http.NewServeMux()
	cookbook.Metrics(metrics, s.Server, s.Room("tea"))
	s.Join("alice")
	s.JoinRoom("tea", "bob")
	require.HTTPBodyContains(t, metrics.ServeHTTP, "GET", "/metrics", nil, "chatroom_joins_total 2\n")
	require.HTTPBodyContains(t, metrics.ServeHTTP, "GET", "/metrics", nil, "chatroom_room_joins_total{room=\"tea\"} 1\n")
}

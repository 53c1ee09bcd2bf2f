package promroom_test

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
	"example.com/chatroom/promroom"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ExampleNewCollector() {
	s := chatroom.NewServer()
	registry := prometheus.NewRegistry()
	registry.MustRegister(promroom.NewCollector(s), promroom.NewRoomCollector(s.Rooms))
	families, err := registry.Gather() // as promhttp.HandlerFor does at each scrape
	fmt.Println(len(families), "metrics,", err)
	// Output: 28 metrics, <nil>
}

func TestHandler(t *testing.T) {
	s := chatroomtest.NewServer(t)
	s.Join("alice")
	s.JoinRoom("red", "bob")
	handler := promroom.Handler(s.Server, s.Room("red")).ServeHTTP
	require.HTTPBodyContains(t, handler, "GET", "/", nil, "chatroom_joins_total 2\n")
	require.HTTPBodyContains(t, handler, "GET", "/", nil, "chatroom_room_joins_total{room=\"red\"} 1\n")
}

func newRegistry(t *testing.T, s *chatroom.Server, rooms func() []chatroom.Room) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promroom.NewCollector(s), promroom.NewRoomCollector(rooms))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	return registry
}

func TestFigures(t *testing.T) {
	s := chatroomtest.NewServer(t,
		chatroom.WithUniqueNames(),
		chatroom.WithOnMessage(func(_ context.Context, _ chatroom.Member, msg *chatroom.Message) error {
			if string(msg.Body) == "drop" {
				return chatroom.ErrDrop
			}
			return nil
		}))
	registry := newRegistry(t, s.Server, s.Rooms)
	alice, bob := s.Join("alice"), s.Join("bob")
	carol := s.JoinRoom("red", "carol")
	alice.Send("drop")
	alice.Send("hello")
	bob.Want("alice", "hello")
	require.ErrorIs(t, s.Refusal("alice"), chatroom.ErrNameTaken)
	bob.Member.Kick(nil)
	require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrKicked)
	s.WaitWritten()
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP chatroom_backlog_bytes Bytes by which the slowest member is behind now.
# TYPE chatroom_backlog_bytes gauge
chatroom_backlog_bytes 0
# HELP chatroom_connections Connections open now, those that have not been let in yet included.
# TYPE chatroom_connections gauge
chatroom_connections 2
# HELP chatroom_connections_accepted_total Connections accepted.
# TYPE chatroom_connections_accepted_total counter
chatroom_connections_accepted_total 4
# HELP chatroom_deliveries_total Messages published, each times the members that it is for, and history to newcomers.
# TYPE chatroom_deliveries_total counter
chatroom_deliveries_total 1
# HELP chatroom_messages_dropped_total Messages that message hooks dropped.
# TYPE chatroom_messages_dropped_total counter
chatroom_messages_dropped_total 1
# HELP chatroom_room_joins_total Members that have joined.
# TYPE chatroom_room_joins_total counter
chatroom_room_joins_total{room=""} 2
chatroom_room_joins_total{room="red"} 1
# HELP chatroom_room_members Members now.
# TYPE chatroom_room_members gauge
chatroom_room_members{room=""} 1
chatroom_room_members{room="red"} 1
# HELP chatroom_written_bytes_total Bytes written to the members' connections, with names and headers.
# TYPE chatroom_written_bytes_total counter
chatroom_written_bytes_total 30
`), "chatroom_backlog_bytes", "chatroom_connections", "chatroom_connections_accepted_total", "chatroom_deliveries_total",
		"chatroom_messages_dropped_total", "chatroom_room_joins_total", "chatroom_room_members", "chatroom_written_bytes_total"))
	assert.EqualValues(t, 1, valueOf(t, registry, "chatroom_leaves_total", "kicked"))
	assert.EqualValues(t, 1, valueOf(t, registry, "chatroom_connections_refused_total", "name_taken"))
	carol.Close()
	require.NoError(t, s.WaitLeave("carol"))
	assert.EqualValues(t, 1, valueOf(t, registry, "chatroom_leaves_total", "goodbye"))
}

// Each field of the counts by reason is a value of the label.
func TestReasons(t *testing.T) {
	s := chatroomtest.NewServer(t)
	registry := newRegistry(t, s.Server, s.Rooms)
	for _, tt := range []struct {
		metric string
		counts any
	}{
		{"chatroom_leaves_total", chatroom.Leaves{}},
		{"chatroom_connections_refused_total", chatroom.Refusals{}},
	} {
		var want []string
		for i := range reflect.TypeOf(tt.counts).NumField() {
			name := regexp.MustCompile(`(.)([A-Z])`).ReplaceAllString(reflect.TypeOf(tt.counts).Field(i).Name, "${1}_$2")
			want = append(want, strings.ToLower(name))
		}
		assert.ElementsMatch(t, want, reasonsOf(t, registry, tt.metric), tt.metric)
	}
}

// Whatever a client calls a room, the others' figures come.
func TestNamesOfRooms(t *testing.T) {
	names := []string{"", "red", "\xff", `"\xff"`, "\"", "\n", strings.Repeat("x", 4096)}
	s := chatroomtest.NewServer(t)
	registry := newRegistry(t, s.Server, func() []chatroom.Room {
		var rooms []chatroom.Room
		for _, name := range names {
			rooms = append(rooms, s.Room(name))
		}
		return rooms
	})
	n, err := testutil.GatherAndCount(registry, "chatroom_room_members")
	require.NoError(t, err)
	assert.Len(t, names, n)
}

func valueOf(t *testing.T, registry *prometheus.Registry, metric, reason string) (value uint64) {
	t.Helper()
	eachReason(t, registry, metric, func(name string, v float64) {
		if name == reason {
			value = uint64(v)
		}
	})
	return value
}

func reasonsOf(t *testing.T, registry *prometheus.Registry, metric string) (names []string) {
	t.Helper()
	eachReason(t, registry, metric, func(name string, _ float64) { names = append(names, name) })
	return names
}

func eachReason(t *testing.T, registry *prometheus.Registry, metric string, do func(reason string, value float64)) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == metric {
				do(m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
			}
		}
	}
}

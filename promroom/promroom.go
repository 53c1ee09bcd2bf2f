// Package promroom gives the figures of a chat server to Prometheus.
//
//	registry.MustRegister(promroom.NewCollector(s))
//
// A program that has no other metrics needs no registry:
//
//	http.Handle("/metrics", promroom.Handler(s))
//
// Each scrape reads [chatroom.Server.Stats] once. Counters start with the server, as the
// figures do. The metrics, of which chatroom.Stats says what each counts:
//
//	chatroom_rooms                       gauge
//	chatroom_connections                 gauge
//	chatroom_connections_accepted_total
//	chatroom_connections_refused_total   by reason
//	chatroom_members                     gauge
//	chatroom_joins_total
//	chatroom_leaves_total                by reason
//	chatroom_messages_total
//	chatroom_message_bytes_total
//	chatroom_messages_dropped_total
//	chatroom_deliveries_total
//	chatroom_written_bytes_total
//	chatroom_backlog_bytes               gauge
//	chatroom_holds_total
//	chatroom_hold_seconds_total
//	chatroom_held                        gauge, 0 or 1
//
// The values of the label reason are the names of the fields of [chatroom.Leaves] and
// [chatroom.Refusals] in snake case, such as slow_consumer.
//
// [NewRoomCollector] has the metrics from chatroom_members on for single rooms, with the
// prefix chatroom_room_ and the label room.
//
// To register several servers in one registry, give each a label of its own with
// [prometheus.WrapRegistererWith].
package promroom

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/chatroom"
)

// Handler returns a handler that serves the figures of s, and of the rooms given, and
// nothing else.
func Handler(s *chatroom.Server, rooms ...chatroom.Room) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(s), NewRoomCollector(func() []chatroom.Room { return rooms }))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// NewCollector returns a collector of the figures of s. It is safe for concurrent use, and
// starts no goroutine.
func NewCollector(s *chatroom.Server) prometheus.Collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("chatroom_"+name, help, labels, nil)
	}
	return &serverCollector{
		server:      s,
		rooms:       d("rooms", "Rooms that exist now."),
		connections: d("connections", "Connections open now, those that have not been let in yet included."),
		accepted:    d("connections_accepted_total", "Connections accepted."),
		refused:     d("connections_refused_total", "Connections that ended before they became members, by reason.", "reason"),
		all:         newRoomDescs("chatroom_"),
	}
}

type serverCollector struct {
	server                                *chatroom.Server
	rooms, connections, accepted, refused *prometheus.Desc
	all                                   *roomDescs
}

// Describe implements [prometheus.Collector].
func (c *serverCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c *serverCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.server.Stats()
	gauge(ch, c.rooms, float64(st.Rooms))
	gauge(ch, c.connections, float64(st.Connections))
	counter(ch, c.accepted, float64(st.Accepted))
	r := st.Refusals
	counter(ch, c.refused, float64(r.ServerClosed), "server_closed")
	counter(ch, c.refused, float64(r.ServerFull), "server_full")
	counter(ch, c.refused, float64(r.NameTaken), "name_taken")
	counter(ch, c.refused, float64(r.RoomFull), "room_full")
	counter(ch, c.refused, float64(r.NameRejected), "name_rejected")
	counter(ch, c.refused, float64(r.Hook), "hook")
	counter(ch, c.refused, float64(r.Timeout), "timeout")
	counter(ch, c.refused, float64(r.Protocol), "protocol")
	counter(ch, c.refused, float64(r.Lost), "lost")
	c.all.collect(ch, st.RoomStats)
}

// NewRoomCollector returns a collector of the figures of single rooms. It calls rooms at
// each scrape, on the goroutine that collects: Server.Rooms for all that exist then, or a
// function that returns always the same ones. If clients may choose the names of rooms, all
// of them can be more than Prometheus should be given.
//
// A room's counters start again when it is made again. Names that are not valid UTF-8
// become labels as Go would quote them.
func NewRoomCollector(rooms func() []chatroom.Room) prometheus.Collector {
	return &roomCollector{rooms, newRoomDescs("chatroom_room_", "room")}
}

type roomCollector struct {
	rooms func() []chatroom.Room
	each  *roomDescs
}

// Describe implements [prometheus.Collector].
func (c *roomCollector) Describe(ch chan<- *prometheus.Desc) { c.each.describe(ch) }

// Collect implements [prometheus.Collector].
func (c *roomCollector) Collect(ch chan<- prometheus.Metric) {
	for _, r := range c.rooms() {
		c.each.collect(ch, r.Stats(), labelOf(r.Name()))
	}
}

// labelOf returns a label's value for a name, another one for each.
func labelOf(name string) string {
	if utf8.ValidString(name) && !strings.HasPrefix(name, `"`) {
		return name
	}
	return strconv.Quote(name)
}

// roomDescs describe the metrics of [chatroom.RoomStats].
type roomDescs struct {
	members, joins, leaves, messages, bytes, dropped, deliveries, written, backlog, holds, holdTime, held *prometheus.Desc
}

func newRoomDescs(prefix string, labels ...string) *roomDescs {
	d := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, append(labels[:len(labels):len(labels)], more...), nil)
	}
	return &roomDescs{
		members:    d("members", "Members now."),
		joins:      d("joins_total", "Members that have joined."),
		leaves:     d("leaves_total", "Members that have left, by reason.", "reason"),
		messages:   d("messages_total", "Messages published, by members and the program."),
		bytes:      d("message_bytes_total", "Bytes of the messages published, with names and headers."),
		dropped:    d("messages_dropped_total", "Messages that message hooks dropped."),
		deliveries: d("deliveries_total", "Messages published, each times the members that it is for, and history to newcomers."),
		written:    d("written_bytes_total", "Bytes written to the members' connections, with names and headers."),
		backlog:    d("backlog_bytes", "Bytes by which the slowest member is behind now."),
		holds:      d("holds_total", "Times that publishing had to wait for members to catch up."),
		holdTime:   d("hold_seconds_total", "Seconds for which publishing had to wait."),
		held:       d("held", "Whether publishing has to wait now, 1 for yes."),
	}
}

func (d *roomDescs) describe(ch chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{
		d.members, d.joins, d.leaves, d.messages, d.bytes, d.dropped, d.deliveries, d.written, d.backlog, d.holds, d.holdTime, d.held,
	} {
		ch <- one
	}
}

func (d *roomDescs) collect(ch chan<- prometheus.Metric, st chatroom.RoomStats, labels ...string) {
	gauge(ch, d.members, float64(st.Members), labels...)
	counter(ch, d.joins, float64(st.Joins), labels...)
	leaves := func(n uint64, reason string) {
		counter(ch, d.leaves, float64(n), append(labels[:len(labels):len(labels)], reason)...)
	}
	leaves(st.Leaves.ServerClosed, "server_closed")
	leaves(st.Leaves.Kicked, "kicked")
	leaves(st.Leaves.SlowConsumer, "slow_consumer")
	leaves(st.Leaves.Hook, "hook")
	leaves(st.Leaves.Unavailable, "unavailable")
	leaves(st.Leaves.Timeout, "timeout")
	leaves(st.Leaves.Protocol, "protocol")
	leaves(st.Leaves.Goodbye, "goodbye")
	leaves(st.Leaves.Lost, "lost")
	counter(ch, d.messages, float64(st.Messages), labels...)
	counter(ch, d.bytes, float64(st.Bytes), labels...)
	counter(ch, d.dropped, float64(st.Dropped), labels...)
	counter(ch, d.deliveries, float64(st.Deliveries), labels...)
	counter(ch, d.written, float64(st.BytesWritten), labels...)
	gauge(ch, d.backlog, float64(st.Backlog), labels...)
	counter(ch, d.holds, float64(st.Holds), labels...)
	counter(ch, d.holdTime, st.HoldTime.Seconds(), labels...)
	held := 0.0
	if st.Held {
		held = 1
	}
	gauge(ch, d.held, held, labels...)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

package chatroom_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// A tcpSocket is a line of /proc/net/tcp.
type tcpSocket struct {
	state  string
	unsent int // bytes that were written and not acknowledged
}

// The states of connections that were closed at this end.
const (
	finWait1 = "04" // the other has not acknowledged it
	finWait2 = "05" // the other has not closed
)

// serverSockets returns the connections of a listener by the ports of their peers,
// those included that no process has any more.
func serverSockets(t testing.TB, l net.Listener) map[string]tcpSocket {
	t.Helper()
	f, err := os.Open("/proc/self/net/tcp")
	require.NoError(t, err)
	defer f.Close()
	all := make(map[string]tcpSocket)
	lines := bufio.NewScanner(f)
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		s := tcpSocket{state: fields[3]}
		_, err := fmt.Sscanf(fields[4], "%x:", &s.unsent)
		require.NoError(t, err, lines.Text())
		if strings.HasSuffix(fields[1], hexPort(l.Addr())) {
			_, peer, _ := strings.Cut(fields[2], ":")
			all[":"+peer] = s
		}
	}
	require.NoError(t, lines.Err())
	return all
}

// hexPort returns the port of a TCP address as /proc/net/tcp has it.
func hexPort(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }

// Members that were evicted and keep their sockets open leave nothing behind: the
// system holds neither a connection of theirs nor what it was to carry.
func TestEvictedLeaveNoOrphans(t *testing.T) {
	t.Parallel()
	members := 20
	if *floodLong {
		members = 200
	}
	l := listenTCP(t)
	r := newFloodRoom(t, l, chatroom.WithBacklog(1<<20))
	leaves := r.watchLeaves("silent")
	r.join(smallReceive, slices.Repeat([]string{"silent"}, members)...)
	read := r.joinReaders(equalRates(members+1, eager), defaultReceive) // most of the room reads
	const messages = 6 << 10
	r.flood(messages, read)
	for range members {
		require.ErrorIs(t, r.leave(leaves), chatroom.ErrSlowConsumer)
	}
	orphans, unsent := 0, 0
	for _, s := range serverSockets(t, l) {
		if s.state == finWait1 || s.state == finWait2 {
			orphans++
			unsent += s.unsent
		}
	}
	assert.Zero(t, orphans, "connections that nobody has any more, which hold %d bytes", unsent)
}

// What the system holds for members that do not read is bounded, however much
// they are owed.
func TestSystemMemoryOfTheStalled(t *testing.T) {
	t.Parallel()
	const members, limit = 20, 512 << 10
	l := listenTCP(t)
	r := newFloodRoom(t, l) // whose backlog is larger than what the flood brings
	silent := r.join(smallReceive, slices.Repeat([]string{"silent"}, members)...)
	read := r.joinReaders(equalRates(members+1, eager), defaultReceive)
	const messages = 6 << 10
	r.flood(messages, read)
	least, most := limit, 0
	sockets := serverSockets(t, l)
	for _, nc := range silent {
		unsent := sockets[hexPort(nc.LocalAddr())].unsent
		least, most = min(least, unsent), max(most, unsent)
	}
	assert.NotZero(t, least, "bytes held for one member")
	assert.LessOrEqual(t, most, limit, "bytes held for one member")
	assert.Empty(t, r.evictions())
}

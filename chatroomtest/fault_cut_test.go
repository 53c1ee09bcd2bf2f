package chatroomtest_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// leaves counts leaves by name.
type leaves struct {
	mu      sync.Mutex
	reasons map[string][]error
}

func (l *leaves) tell(m chatroom.Member, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reasons == nil {
		l.reasons = make(map[string][]error)
	}
	l.reasons[m.Name] = append(l.reasons[m.Name], reason)
}

func (l *leaves) of(name string) []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reasons[name]
}

// A client's connection is cut at every byte of a join and two messages.
func TestRoomAfterACutAtEveryByteOfAClient(t *testing.T) {
	frames := []string{"alice", "one", "message two"}
	ends := []int64{0} // of the frames, and so where a goodbye is clean
	for _, f := range frames {
		ends = append(ends, ends[len(ends)-1]+int64(len(chatroom.AppendFrame(nil, []byte(f)))))
	}
	for limit := range ends[3] + 1 {
		for _, wrap := range []func(net.Conn) net.Conn{noFault, sliceOne} {
			synctest.Test(t, func(t *testing.T) {
				var told leaves
				s := chatroomtest.NewServer(t, chatroom.WithOnLeave(told.tell))
				bob := s.Join("bob")
				alice := wrap(chatroomtest.LimitData(wrap(s.Dial()), limit))
				for _, f := range frames {
					n, err := alice.Write(chatroom.AppendFrame(nil, []byte(f)))
					if err != nil {
						require.ErrorIs(t, err, chatroomtest.ErrDataLimit, "limit %d", limit)
						require.Less(t, n, len(f)+10)
						break
					}
				}
				for i, f := range frames[1:] {
					if limit >= ends[i+2] {
						bob.Want("alice", f)
					}
				}
				bob.WantNothing() // and all has settled
				s.WantMembers("bob")
				require.Equal(t, 1, s.Stats().Connections)
				if limit < ends[1] {
					require.EqualValues(t, 1, s.Stats().Joined, "limit %d", limit)
					require.EqualValues(t, 1, s.Stats().Refused)
					require.Empty(t, told.of("alice"))
					return
				}
				require.Len(t, told.of("alice"), 1, "limit %d", limit)
				if reason := told.of("alice")[0]; limit == ends[1] || limit == ends[2] || limit == ends[3] {
					require.NoError(t, reason, "limit %d", limit)
				} else {
					require.ErrorIs(t, reason, io.ErrUnexpectedEOF, "limit %d", limit)
				}
			})
		}
	}
}

// The server's end is cut at every byte of two messages to one member.
func TestRoomAfterACutAtEveryByteOfTheServer(t *testing.T) {
	addr := chatroomtest.Addr("limited")
	messages := []string{"one", "message two"}
	ends := []int64{0}
	for _, m := range messages {
		ends = append(ends, ends[len(ends)-1]+int64(10+len("bob")+10+len(m)))
	}
	for limit := range ends[2] + 2 {
		for _, wrap := range []func(net.Conn) net.Conn{noFault, sliceOne} {
			synctest.Test(t, func(t *testing.T) {
				var told leaves
				l := chatroomtest.NewBufferedListener(100)
				s := newFaultyServer(t, l, only(addr, func(nc net.Conn) net.Conn {
					return wrap(chatroomtest.LimitData(wrap(nc), limit))
				}), chatroom.WithOnLeave(told.tell))
				bob, carol := s.Join("bob"), s.Join("carol")
				alice := s.JoinConn(dialFrom(t, l, addr), "alice")
				for _, m := range messages {
					bob.Send(m)
					carol.Want("bob", m)
				}
				for i, m := range messages {
					if limit >= ends[i+1] {
						alice.Want("bob", m)
					}
				}
				if limit > ends[2] {
					alice.WantNothing()
					s.WantMembers("bob", "carol", "alice")
					return
				}
				_, err := alice.Receive()
				if limit == ends[0] || limit == ends[1] || limit == ends[2] {
					require.Equal(t, io.EOF, err, "limit %d", limit)
				} else {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF, "limit %d", limit)
				}
				synctest.Wait()
				s.WantMembers("bob", "carol")
				require.Len(t, told.of("alice"), 1, "limit %d", limit)
				require.ErrorIs(t, told.of("alice")[0], chatroomtest.ErrDataLimit, "limit %d", limit)
				bob.Send("after")
				carol.Want("bob", "after")
			})
		}
	}
}

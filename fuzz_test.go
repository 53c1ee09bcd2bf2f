package chatroom_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// FuzzServer sends a server arbitrary bytes, cut in two, beside an honest
// member. The honest member must get exactly the messages that the bytes hold,
// then still be served, and nothing may be left of the other.
func FuzzServer(f *testing.F) {
	f.Add([]byte(""), 0)
	f.Add([]byte("3         bob5         hello0         "), 15)
	f.Add([]byte("3         bob5         hel"), 3)
	f.Add([]byte("3         bob999999    "), 13)
	f.Add([]byte("3         b\x00b5         hello"), 30)
	f.Add([]byte("\t3 \n      bob  05      hello+1        x"), 20)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 5)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		const limit = 200
		var from string
		var want []string
		for r := bytes.NewReader(stream); ; {
			payload, err := chatroom.ReadFrame(r, limit)
			if err != nil {
				break
			}
			if want == nil {
				from, want = string(payload), []string{}
				continue
			}
			want = append(want, string(payload))
		}
		named := want != nil && chatroom.CheckName(from) == nil

		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t, chatroom.WithMaxMessage(limit))
			honest := s.Join("honest")
			raw := s.DialRaw()
			cut := min(max(cut, 0), len(stream))
			go func() {
				defer raw.Close()
				if _, err := raw.Write(stream[:cut]); err == nil {
					_, _ = raw.Write(stream[cut:])
				}
			}()
			if named {
				for _, body := range want {
					honest.Want(from, body)
				}
				_ = s.WaitLeave(from)
			}
			honest.WantNothing()
			s.WantMembers("honest")
			require.NoError(t, s.Broadcast(context.Background(), "host", []byte("still here")))
			honest.Want("host", "still here")
		})
	})
}

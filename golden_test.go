package chatroom_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// goldenLimit is the limit that the examples are written for, in bytes.
const goldenLimit = 1 << 20

func forEachExample(t *testing.T, file string, test func(t *testing.T, example chatroomtest.WireExample)) {
	t.Helper()
	examples := chatroomtest.WireExamples(file)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		t.Run(example.Name, func(t *testing.T) { test(t, example) })
	}
}

func TestGoldenFrames(t *testing.T) {
	forEachExample(t, "frames", func(t *testing.T, example chatroomtest.WireExample) {
		payload, frame := example.Bytes("payload"), example.Bytes("frame")
		require.NotEmpty(t, frame)
		assert.True(t, bytes.Equal(frame, chatroom.AppendFrame(nil, payload)), "written exactly so")
		got, err := chatroom.ReadFrame(bytes.NewReader(frame), goldenLimit)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(payload, got), "and read back")
	})
}

func TestGoldenHeadersRead(t *testing.T) {
	forEachExample(t, "accept", func(t *testing.T, example chatroomtest.WireExample) {
		header, payload := example.Bytes("header"), example.Bytes("payload")
		require.Len(t, header, 10)
		r := bytes.NewReader(append(append(header, payload...), "rest"...))
		got, err := chatroom.ReadFrame(r, goldenLimit)
		require.NoError(t, err)
		assert.Equal(t, payload, got)
		assert.Equal(t, len("rest"), r.Len())
	})
}

func TestGoldenHeadersRejected(t *testing.T) {
	for file, want := range map[string]error{
		"reject": chatroom.ErrBadHeader,
		"limit":  chatroom.ErrFrameTooLarge,
	} {
		forEachExample(t, file, func(t *testing.T, example chatroomtest.WireExample) {
			header := example.Bytes("header")
			require.Len(t, header, 10)
			_, err := chatroom.ReadFrame(io.MultiReader(bytes.NewReader(header), neverRead{t}), goldenLimit)
			require.ErrorIs(t, err, want)
		})
	}
}

// neverRead fails the test when it is read.
type neverRead struct{ t *testing.T }

func (r neverRead) Read([]byte) (int, error) {
	r.t.Error("read beyond the header")
	return 0, io.EOF
}

func TestGoldenConversationsOfServer(t *testing.T) {
	forEachExample(t, "conversations", func(t *testing.T, example chatroomtest.WireExample) {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t)
			conns := map[string]*chatroomtest.Raw{}
			for _, step := range example.Steps {
				switch step.Word {
				case "join":
					conns[step.Conn] = s.DialRaw()
					conns[step.Conn].SendBytes(string(step.Bytes))
					synctest.Wait()
					require.Len(t, s.Members(), len(conns))
				case "send":
					conns[step.Conn].SendBytes(string(step.Bytes))
				case "want":
					conns[step.Conn].WantBytes(string(step.Bytes))
				case "leave":
					require.NoError(t, conns[step.Conn].Close())
					delete(conns, step.Conn)
					synctest.Wait()
				default:
					t.Fatalf("no step is called %q", step.Word)
				}
			}
			for _, conn := range conns {
				conn.WantNothing()
			}
		})
	})
}

func TestGoldenConversationsOfClients(t *testing.T) {
	forEachExample(t, "conversations", func(t *testing.T, example chatroomtest.WireExample) {
		synctest.Test(t, func(t *testing.T) {
			type end struct {
				client *chatroom.Conn
				server net.Conn
			}
			l := chatroomtest.NewListener()
			ends := map[string]end{}
			wantBytes := func(e end, want []byte) {
				t.Helper()
				got := make([]byte, len(want))
				_, err := io.ReadFull(e.server, got)
				require.NoError(t, err)
				require.Equal(t, string(want), string(got))
			}
			for _, step := range example.Steps {
				e := ends[step.Conn]
				switch step.Word {
				case "join":
					nc, err := l.DialContext(t.Context(), "", "")
					require.NoError(t, err)
					server, err := l.Accept()
					require.NoError(t, err)
					joined := make(chan *chatroom.Conn, 1)
					name, err := chatroom.ReadFrame(bytes.NewReader(step.Bytes), goldenLimit)
					require.NoError(t, err)
					go func() {
						c, err := chatroom.NewConn(t.Context(), nc, string(name))
						assert.NoError(t, err)
						joined <- c
					}()
					e = end{server: server}
					wantBytes(e, step.Bytes)
					e.client = <-joined
					ends[step.Conn] = e
					defer func() { _ = server.Close() }()
					defer func() { _ = e.client.Close() }()
				case "send":
					for r := bytes.NewReader(step.Bytes); r.Len() > 0; {
						body, err := chatroom.ReadFrame(r, goldenLimit)
						require.NoError(t, err)
						go func() { assert.NoError(t, e.client.Send(t.Context(), body)) }()
						wantBytes(e, chatroom.AppendFrame(nil, body))
					}
				case "want":
					go func() {
						_, err := e.server.Write(step.Bytes)
						assert.NoError(t, err)
					}()
					for r := bytes.NewReader(step.Bytes); r.Len() > 0; {
						from, err := chatroom.ReadFrame(r, goldenLimit)
						require.NoError(t, err)
						body, err := chatroom.ReadFrame(r, goldenLimit)
						require.NoError(t, err)
						m, err := e.client.Receive(t.Context())
						require.NoError(t, err)
						assert.Equal(t, chatroom.Message{From: string(from), Body: body}, m)
					}
				}
			}
		})
	})
}

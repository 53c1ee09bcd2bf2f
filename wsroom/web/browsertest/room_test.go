package browsertest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/wsroom"
	"example.com/chatroom/wsroom/web"
)

// timeout is how long a test waits for what has to happen before it fails.
const timeout = 30 * time.Second

// A testRoom is a server whose page browsers open and whose rooms others join over TCP.
type testRoom struct {
	t       testing.TB
	options []chatroom.ServerOption

	server *chatroom.Server
	web    *httptest.Server
	tcp    net.Listener
	url    string        // of the page
	joined chan struct{} // gets a value for each member that has joined
	left   chan error    // gets the reason of each member that has left
}

func newTestRoom(t testing.TB, options ...chatroom.ServerOption) *testRoom {
	t.Helper()
	r := &testRoom{t: t, joined: make(chan struct{}, 1000), left: make(chan error, 1000)}
	r.options = append(slices.Clone(options),
		chatroom.WithOnJoin(func(context.Context, chatroom.Member) { r.joined <- struct{}{} }),
		chatroom.WithOnLeave(func(_ context.Context, _ chatroom.Member, reason error) { r.left <- reason }))
	r.start("127.0.0.1:0")
	t.Cleanup(r.stop)
	return r
}

// start serves the page at an address.
func (r *testRoom) start(address string) {
	r.t.Helper()
	r.server = chatroom.NewServer(r.options...)
	l, err := net.Listen("tcp", address)
	require.NoError(r.t, err)
	r.tcp, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(r.t, err)
	go r.server.Serve(r.tcp)
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.Handle("/ws", wsroom.Handler(r.server))
	mux.Handle("/ws/{room}", wsroom.Handler(r.server, wsroom.WithRoom(func(r *http.Request) (string, error) {
		room := r.PathValue("room")
		return room, chatroom.CheckName(room)
	})))
	mux.Handle("/unit/", http.StripPrefix("/unit", unitTests()))
	r.web = &httptest.Server{Listener: l, Config: &http.Server{Handler: mux, ReadHeaderTimeout: timeout}}
	r.web.Start()
	r.url = r.web.URL + "/"
}

// stop ends everything that start has started.
func (r *testRoom) stop() {
	_ = r.web.Listener.Close() // nobody comes back before the end
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_ = r.server.Shutdown(ctx)
	r.web.CloseClientConnections()
	r.web.Close()
}

// unitTests serves the tests of the modules beside the modules.
func unitTests() http.Handler {
	page := web.Handler()
	dirs := []string{"../testdata", "../../../chatroomtest/wire"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, dir := range dirs {
			file := filepath.Join(dir, filepath.Base(r.URL.Path))
			if _, err := os.Stat(file); err == nil {
				if strings.HasSuffix(file, ".js") {
					w.Header().Set("Content-Type", "text/javascript")
				}
				http.ServeFile(w, r, file)
				return
			}
		}
		page.ServeHTTP(w, r)
	})
}

// waitJoined waits until n more members have joined.
func (r *testRoom) waitJoined(n int) {
	r.t.Helper()
	for range n {
		select {
		case <-r.joined:
		case <-time.After(timeout):
			require.FailNow(r.t, "nobody has joined")
		}
	}
}

// say has the server say something in the room without a name.
func (r *testRoom) say(from, text string) {
	r.t.Helper()
	require.NoError(r.t, r.server.Room("").Broadcast(r.t.Context(), from, []byte(text)))
}

// dial joins the room over TCP.
func (r *testRoom) dial(name string) *chatroom.Conn {
	r.t.Helper()
	c, err := chatroom.Dial(r.t.Context(), "tcp", r.tcp.Addr().String(), name)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	r.waitJoined(1)
	return c
}

// receive returns the next message that c gets, as "name > text".
func (r *testRoom) receive(c *chatroom.Conn) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), timeout)
	defer cancel()
	m, err := c.Receive(ctx)
	require.NoError(r.t, err)
	return m.From + " > " + string(m.Body)
}

// Package wsroom lets browsers into the rooms of a [chatroom.Server]: over WebSocket, with the
// same wire, the same rooms and the same hooks as everybody else. A room on a site of your
// own takes these lines:
//
//	room := chatroom.NewServer()
//	http.Handle("/", web.Handler())       // the page, of package wsroom/web
//	http.Handle("/ws", wsroom.Handler(room))
//	log.Fatal(http.ListenAndServe(":8080", nil))
//
// The page also asks for a room by its name, at /ws/NAME. For that, mount a second handler at
// /ws/{room}, with [WithRoom]; docs/web.md has it.
//
// # What a member is
//
// The stream of the room's frames goes through binary messages, cut anywhere: one message of the
// server's may carry many frames, and a client may begin a frame in one message and end it in
// another. A text message is refused. Only where the stream ends is WebSocket seen: a close
// frame is a clean goodbye, and the server's own says why it hangs up.
//
//	1000  goodbye
//	1001  the server is ending, by Shutdown or Close
//	1002  bad frames, of WebSocket or of the room
//	1003  a text message
//	1008  refused or kicked, with the reason; too slow, or silent for too long
//	1009  a message longer than the room allows
//	1011  a hook has failed
//
// The reason of 1008 is the text of the error that an admit hook returns, or that
// [chatroom.Member.Kick] is given, so keep in it what people may read. A slow consumer's
// connection may be reset without a close frame, since nothing can be written to it.
//
// An admit hook sees the request behind a connection, with its cookies, path and TLS state.
// When the admit hooks have run the request is dropped, since it would take more memory than
// the rest of an idle member, who is one goroutine and about 6 KiB:
//
//	chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
//		if r, ok := wsroom.Request(j.Conn); ok { ... }
//		...
//	})
//
// # What holds a hostile peer
//
// A handler without options is meant to be put on the internet, as a server is. Only pages of the
// same host may connect (see [WithOrigins]). A connection holds no message, only the header
// of a frame and the payload of a control frame, however long the frames that a peer announces
// and into however many fragments it cuts them. Of the pings of a flood the latest is
// answered. The room's own limits hold: its timeouts, frames, names and backlog. How long a
// request may take to arrive is up to the [http.Server]: set its ReadHeaderTimeout.
//
// # The library
//
// The handshakes, the masks and the checks of frames are those of github.com/gobwas/ws. The
// other libraries in use cannot be the room's connection: once a deadline has passed, a connection
// of gorilla/websocket is corrupt, lxzan/gws closes it and so does coder/websocket's NetConn, so
// that a graceful end loses what members are owed; that of golang.org/x/net/websocket does not
// unblock writes when it is closed. And all of them hold buffers or copy messages. The low level of
// gobwas/ws leaves the connection to its user. It is used in version 1.4.0, because 1.5.0
// needs Go 1.26.
package wsroom

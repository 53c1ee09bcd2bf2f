//go:build linux

package main

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

var gorillaPeer = &peer{
	name:   "gorilla",
	module: "github.com/gorilla/websocket",
	how: "a hub goroutine, a queue and a writing goroutine for each connection, and queued messages joined into one WebSocket message, as in its chat example, " +
		"which echoes and this hub does not; write buffers raised from 1 to 16 KiB and pooled, which makes joined messages pay; " +
		"queues raised from 256 to 1,024 messages, the example's rule of hanging up on a full one kept",
	serve:   serveOne(serveGorilla),
	newWire: newGorillaWire,
}

// queueLen is more messages than are under way in any scenario, so that no
// member that reads is disconnected.
const queueLen = 1024

const (
	pongWait  = time.Minute
	writeWait = 10 * time.Second
)

// A gorillaHub owns the set of its connections.
type gorillaHub struct {
	join, leave chan *gorillaConn
	messages    chan gorillaMessage
}

type gorillaConn struct {
	ws    *websocket.Conn
	queue chan []byte // closed by the hub
}

type gorillaMessage struct {
	from *gorillaConn
	text []byte
}

func serveGorilla(l net.Listener) error {
	hub := &gorillaHub{
		join:     make(chan *gorillaConn),
		leave:    make(chan *gorillaConn),
		messages: make(chan gorillaMessage),
	}
	go hub.run()
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 16 << 10, WriteBufferPool: new(sync.Pool)}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &gorillaConn{ws: ws, queue: make(chan []byte, queueLen)}
		hub.join <- c
		go c.write()
		go c.read(hub)
	}))
}

func (h *gorillaHub) run() {
	conns := make(map[*gorillaConn]struct{})
	drop := func(c *gorillaConn) {
		if _, ok := conns[c]; ok {
			delete(conns, c)
			close(c.queue)
		}
	}
	for {
		select {
		case c := <-h.join:
			conns[c] = struct{}{}
		case c := <-h.leave:
			drop(c)
		case m := <-h.messages:
			for c := range conns {
				if c == m.from {
					continue
				}
				select {
				case c.queue <- m.text:
				default:
					drop(c)
				}
			}
		}
	}
}

func (c *gorillaConn) read(h *gorillaHub) {
	defer func() { h.leave <- c; _ = c.ws.Close() }()
	alive := func(string) error { return c.ws.SetReadDeadline(time.Now().Add(pongWait)) }
	c.ws.SetReadLimit(4096)
	c.ws.SetPongHandler(alive)
	_ = alive("") // reading tells
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		h.messages <- gorillaMessage{c, text}
	}
}

func (c *gorillaConn) write() {
	defer func() { _ = c.ws.Close() }()
	ping := time.NewTicker(pongWait * 9 / 10)
	defer ping.Stop()
	for {
		select {
		case text, ok := <-c.queue:
			_ = c.ws.SetWriteDeadline(time.Now().Add(writeWait)) // writing tells
			if !ok || c.writeJoined(text) != nil {
				return
			}
		case <-ping.C:
			if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
				return
			}
		}
	}
}

// writeJoined writes text and what is queued behind it as one WebSocket
// message, with a line for each.
func (c *gorillaConn) writeJoined(text []byte) error {
	w, err := c.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	newline := []byte{'\n'}
	for queued := len(c.queue); ; queued-- {
		if _, err := w.Write(text); err != nil {
			return err
		}
		if _, err := w.Write(newline); err != nil {
			return err
		}
		if queued == 0 {
			return w.Close()
		}
		if text = <-c.queue; text == nil {
			return w.Close()
		}
	}
}

func newGorillaWire(int) wire {
	w := newWebSocketWire(0)
	w.delivery++ // a line
	return w
}

// textMessage is the opcode of a WebSocket text message.
const textMessage = 1

// newWebSocketWire is shared by all servers that send each text as a WebSocket
// message.
func newWebSocketWire(int) wire {
	return wire{
		enter:    func(nc *socket) error { return nc.upgrade("/") },
		encode:   func(payload []byte) []byte { return maskedFrame(textMessage, payload) },
		delivery: payloadLen,
		framed:   true,
	}
}

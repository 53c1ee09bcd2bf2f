//go:build linux

package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

var coderPeer = &peer{
	name:    "coder",
	module:  "github.com/coder/websocket",
	how:     "a queue for each subscriber, which is hung up on when it is full, as in its chat example; queues raised from 16 to 1,024 messages",
	serve:   serveOne(serveCoder),
	newWire: newWebSocketWire,
}

// A coderRoom is the set of its subscribers.
type coderRoom struct {
	mu   sync.Mutex
	subs map[*coderSub]struct{}
}

type coderSub struct {
	ws    *websocket.Conn
	queue chan []byte
}

func serveCoder(l net.Listener) error {
	room := &coderRoom{subs: make(map[*coderSub]struct{})}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }() // it may be closed already
		sub := &coderSub{ws: ws, queue: make(chan []byte, queueLen)}
		room.subscribe(sub)
		defer room.unsubscribe(sub)
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go sub.write(ctx, cancel)
		for {
			_, text, err := ws.Read(ctx)
			if err != nil {
				return
			}
			room.publish(sub, text)
		}
	}))
}

func (r *coderRoom) subscribe(s *coderSub) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subs[s] = struct{}{}
}

func (r *coderRoom) unsubscribe(s *coderSub) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.subs, s)
}

func (r *coderRoom) publish(from *coderSub, text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.subs {
		if s == from {
			continue
		}
		select {
		case s.queue <- text:
		default:
			go func() { _ = s.ws.Close(websocket.StatusPolicyViolation, "too slow") }() // reading tells
		}
	}
}

func (s *coderSub) write(ctx context.Context, cancel context.CancelFunc) {
	defer cancel()
	for {
		select {
		case text := <-s.queue:
			if s.writeOne(ctx, text) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *coderSub) writeOne(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.ws.Write(ctx, websocket.MessageText, text)
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"

	"github.com/centrifugal/centrifuge"
	"github.com/centrifugal/protocol"
)

var centrifugePeer = &peer{
	name:    "centrifuge",
	module:  "github.com/centrifugal/centrifuge",
	how:     "one channel in its memory engine, published to by clients, protobuf over WebSocket; it echoes, which cannot be turned off, and those deliveries count; no limit of messages joined into a frame instead of 16; pings off, the rest default",
	serve:   serveOne(serveCentrifuge),
	newWire: newCentrifugeWire,
}

func serveCentrifuge(l net.Listener) error {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return err
	}
	return serveCentrifugeNode(l, node)
}

func serveCentrifugeNode(l net.Listener, node *centrifuge.Node) error {
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{MaxMessagesInFrame: -1}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{}, nil)
		})
		c.OnPublish(func(_ centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
			answer(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	ws := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1}, // the load does not answer
	})
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := centrifuge.SetCredentials(r.Context(), &centrifuge.Credentials{})
		ws.ServeHTTP(w, r.WithContext(ctx))
	}))
}

const (
	centrifugeChannel = "room"

	// binaryMessage is the opcode of a WebSocket binary message.
	binaryMessage = 2
)

func newCentrifugeWire(int) wire {
	sample := bytes.Repeat([]byte{'x'}, payloadLen)
	delivery := delimited((&protocol.Reply{Push: &protocol.Push{
		Channel: centrifugeChannel,
		Pub:     &protocol.Publication{Data: sample},
	}}).MarshalVT())
	// All commands have the same identifier, so that all replies are of one length.
	receipt := delimited((&protocol.Reply{Id: 1, Publish: &protocol.PublishResult{}}).MarshalVT())
	return wire{
		enter: func(nc *socket) error {
			if err := nc.upgrade("/?cf_protocol=protobuf"); err != nil {
				return err
			}
			for _, command := range []*protocol.Command{
				{Id: 1, Connect: &protocol.ConnectRequest{}},
				{Id: 1, Subscribe: &protocol.SubscribeRequest{Channel: centrifugeChannel}},
			} {
				if _, err := nc.Write(maskedFrame(binaryMessage, delimited(command.MarshalVT()))); err != nil {
					return err
				}
				if err := nc.readFrame(); err != nil {
					return err
				}
			}
			return nil
		},
		encode: func(payload []byte) []byte {
			command := &protocol.Command{Id: 1, Publish: &protocol.PublishRequest{Channel: centrifugeChannel, Data: payload}}
			return maskedFrame(binaryMessage, delimited(command.MarshalVT()))
		},
		delivery: len(delivery),
		stampAt:  bytes.Index(delivery, sample),
		framed:   true,
		echo:     true,
		receipt:  len(receipt),
	}
}

// delimited returns message behind its length, as protobuf streams have it.
func delimited(message []byte, err error) []byte {
	if err != nil {
		panic(err) // of messages that are built here
	}
	return append(binary.AppendUvarint(nil, uint64(len(message))), message...)
}

// readFrame reads one short WebSocket frame of a server's.
func (s *socket) readFrame() error {
	var head [2]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return err
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(s, head[:]); err != nil {
			return err
		}
		n = int(binary.BigEndian.Uint16(head[:]))
	}
	_, err := io.ReadFull(s, make([]byte, n))
	return err
}

//go:build linux

package main

import (
	"errors"
	"io"
	"log/slog"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

var mochiPeer = &peer{
	name:    "mochi",
	module:  "github.com/mochi-mqtt/server/v2",
	how:     "embedded, MQTT 5, one topic, QoS 0, No Local; write buffers raised from 2 to 16 KiB, the rest default, under which 8,192 messages may wait for a client",
	serve:   serveMochi,
	newWire: newMochiWire,
}

func serveMochi(rooms int) ([]string, error) {
	if rooms != 1 {
		return nil, errors.New("has one room")
	}
	s := mqtt.New(&mqtt.Options{
		ClientNetWriteBufferSize: 16 << 10,
		Logger:                   slog.New(slog.DiscardHandler),
	})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, err
	}
	if err := s.AddListener(listeners.NewNet("room", l)); err != nil {
		return nil, err
	}
	return []string{l.Addr().String()}, s.Serve()
}

const mqttTopic = "room"

// The types of MQTT's packets, with their flags.
const (
	mqttConnect   = 1 << 4
	mqttConnack   = 2 << 4
	mqttPublish   = 3 << 4
	mqttSubscribe = 8<<4 | 2
	mqttSuback    = 9 << 4
)

func newMochiWire(int) wire {
	expiry := []byte{5, 2, 0, 1, 0x51, 0x80} // a day: the server adds this property
	publish := mqttPacket(mqttPublish, mqttString(mqttTopic), expiry, make([]byte, payloadLen))
	return wire{
		enter: func(nc *socket) error {
			// Version 5, clean start, keep alive off, no properties, and an
			// identifier of the server's choice.
			connect := mqttPacket(mqttConnect, mqttString("MQTT"), []byte{5, 2, 0, 0, 0}, mqttString(""))
			if _, err := nc.Write(connect); err != nil {
				return err
			}
			if err := nc.readPacket(mqttConnack); err != nil {
				return err
			}
			// Identifier 1, no properties; QoS 0 and No Local.
			subscribe := mqttPacket(mqttSubscribe, []byte{0, 1, 0}, mqttString(mqttTopic), []byte{1 << 2})
			if _, err := nc.Write(subscribe); err != nil {
				return err
			}
			return nc.readPacket(mqttSuback)
		},
		encode: func(payload []byte) []byte {
			return mqttPacket(mqttPublish, mqttString(mqttTopic), []byte{0}, payload)
		},
		delivery: len(publish),
		stampAt:  len(publish) - payloadLen,
	}
}

func mqttString(s string) []byte {
	return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...)
}

// mqttPacket returns a packet of less than 16 KiB.
func mqttPacket(kind byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	packet := []byte{kind}
	if n := len(body); n < 0x80 {
		packet = append(packet, byte(n))
	} else {
		packet = append(packet, byte(n)|0x80, byte(n>>7))
	}
	return append(packet, body...)
}

// readPacket reads a short MQTT packet of the kind that is to come next.
func (s *socket) readPacket(kind byte) error {
	var head [2]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return err
	}
	if head[0] != kind || head[1] >= 0x80 {
		return errors.New("unexpected MQTT packet")
	}
	_, err := io.ReadFull(s, make([]byte, head[1]))
	return err
}

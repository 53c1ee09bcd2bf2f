//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

var natsPeer = &peer{
	name:    "nats-server",
	module:  "github.com/nats-io/nats-server/v2",
	how:     "embedded, one subject, clients with echo off; defaults, which drop nothing at these windows",
	serve:   serveNATS,
	newWire: newNATSWire,
}

func serveNATS(rooms int) ([]string, error) {
	if rooms != 1 {
		return nil, errors.New("has one room")
	}
	s, err := server.NewServer(&server.Options{
		Host:   "127.0.0.1",
		Port:   server.RANDOM_PORT,
		NoLog:  true,
		NoSigs: true,
		// The load answers no pings.
		PingInterval:          time.Hour,
		DisableShortFirstPing: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("not ready within 10 s")
	}
	return []string{s.Addr().String()}, nil
}

func newNATSWire(int) wire {
	const hello = `CONNECT {"verbose":false,"pedantic":false,"echo":false,"protocol":0}` + "\r\nSUB room 1\r\nPING\r\n"
	header := fmt.Sprintf("MSG room 1 %d\r\n", payloadLen)
	return wire{
		enter: func(nc *socket) error {
			if err := nc.readThrough("\r\n"); err != nil { // INFO
				return err
			}
			if _, err := nc.Write([]byte(hello)); err != nil {
				return err
			}
			return nc.readThrough("PONG\r\n")
		},
		encode: func(payload []byte) []byte {
			return fmt.Appendf(nil, "PUB room %d\r\n%s\r\n", len(payload), payload)
		},
		delivery: len(header) + payloadLen + 2,
		stampAt:  len(header),
	}
}

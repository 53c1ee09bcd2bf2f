//go:build linux

package main

import (
	"runtime"
	"time"
)

// A closedLoop has senders that send windows of messages. All send a window.
// When all of it has been delivered, they send the next.
type closedLoop struct {
	*load
	window  int
	rooms   [][]*member
	senders int // of each room
	bursts  [][]byte
	limit   time.Duration // how long a round waits for a delivery

	// burst, if not nil, returns what the i-th sender sends next, in place of bursts.
	burst func(i int) []byte
}

// newClosedLoop returns the closed loop of a load. The first members of each
// room are its senders.
func newClosedLoop(l *load, rooms [][]*member, senders, window int) *closedLoop {
	loop := &closedLoop{load: l, window: window, rooms: rooms, senders: senders, limit: patience}
	payload := newPayload()
	for _, room := range rooms {
		for _, m := range room[:senders] {
			var burst []byte
			for range window {
				burst = append(burst, m.encode(payload)...)
			}
			loop.bursts = append(loop.bursts, burst)
		}
	}
	return loop
}

// newPayload returns a message's text, which carries no time.
func newPayload() []byte {
	payload := make([]byte, payloadLen)
	for i := range payload {
		payload[i] = 'a' + byte(i%26)
	}
	return payload
}

// deliveries returns how many deliveries a round has.
func (c *closedLoop) deliveries() int {
	sum := 0
	for _, room := range c.rooms {
		others := len(room) - 1
		if room[0].echo {
			others++
		}
		sum += c.senders * c.window * others
	}
	return sum
}

func (c *closedLoop) round() error {
	for _, room := range c.rooms {
		for i, m := range room {
			messages := c.senders * c.window
			if i < c.senders {
				if !m.echo {
					messages -= c.window
				}
				m.want += int64(c.window * m.receipt)
			}
			m.want += int64(messages * m.delivery)
		}
	}
	c.countMissing(c.members)
	next := 0
	for _, room := range c.rooms {
		for _, m := range room[:c.senders] {
			burst := c.bursts[next]
			if c.burst != nil {
				burst = c.burst(next)
			}
			if err := c.send(m, burst); err != nil {
				return err
			}
			next++
		}
	}
	return c.await(c.limit)
}

// run makes rounds for as long as d, but at least one. It returns how many
// deliveries they were. It keeps its thread, so that the load is one thread.
func (c *closedLoop) run(d time.Duration) (deliveries int, took time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for deliveries == 0 || time.Since(start) < d {
		if err := c.round(); err != nil {
			return deliveries, time.Since(start), err
		}
		deliveries += c.deliveries()
	}
	return deliveries, time.Since(start), nil
}

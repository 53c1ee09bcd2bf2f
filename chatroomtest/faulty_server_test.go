package chatroomtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/chatroom/chatroomtest"
)

// serverFaults are what can be wrong with a faultyServer.
type serverFaults struct {
	echo           bool // a member receives its own messages
	excludeNames   bool // who has the sender's name receives nothing
	duplicate      bool // every message is sent twice
	newestName     bool // messages are signed by who joined last
	countRunes     bool // lengths are in characters
	rightJustify   bool // headers are padded on the left
	zeroPad        bool // with zeros
	noPad          bool // not at all
	forwardHeaders bool // headers go out as they came in
	loseOne        bool // the 300th message of a sender's is lost
	tearPairs      bool // others' frames come between a name and its message
	swapPairs      bool // two messages sent at once change places
	ownSequences   bool // members see different sequences
	leakOnGarbage  bool // who sends a bad header is no longer read, nor closed
	leakAtEnd      bool // who has said goodbye is not closed
	dieOnGarbage   bool // a bad header ends the server
	dieOnReset     bool // a connection that is reset ends the server
	dieOnBadName   bool // a bad header before a name's end ends the server
	replay         bool // newcomers receive what was sent before
	strictHeaders  bool // only headers in their strict form are read
	looseHeaders   bool // signs and underscores are read too
	noLimit        bool // a header is believed, whatever it announces
	smallLimit     bool // 64 KiB are the limit
	waitForSlow    bool // all wait for the slowest
	waitForNames   bool // nobody is accepted until the last one has sent a name
	readOnce       bool // what has not come by one read is taken not to come
	dropEmpty      bool // empty messages are dropped
	passHalf       bool // what came of half a frame is passed on
	forgetLeavers  bool // what a member sent just before it left is dropped
}

// A faultyServer is a chat room with faults. Without any, it is a correct one.
type faultyServer struct {
	serverFaults
	l net.Listener

	running sync.WaitGroup
	mu      sync.Mutex
	ended   bool
	conns   []net.Conn
	members []*faultyMember
	joined  int
	history []byte

	delayedMu sync.Mutex
	delayed   []func()

	writing chan struct{} // holds a token while all wait for a write
}

type faultyMember struct {
	id   int
	nc   net.Conn
	name []byte
	sent int
	gone bool

	queue [][]byte
	wake  chan struct{}
}

func startFaulty(faults serverFaults, listen func(tb testing.TB) (net.Listener, chatroomtest.DialFunc)) func(tb testing.TB) func() (net.Conn, error) {
	return func(tb testing.TB) func() (net.Conn, error) {
		l, dial := listen(tb)
		s := &faultyServer{serverFaults: faults, l: l, writing: make(chan struct{}, 1)}
		s.running.Go(s.accept)
		tb.Cleanup(func() {
			s.end()
			s.running.Wait()
		})
		return func() (net.Conn, error) { return dial(tb.Context(), l.Addr().Network(), l.Addr().String()) }
	}
}

func (s *faultyServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	_ = s.l.Close()
	for _, nc := range s.conns {
		_ = nc.Close()
	}
	for _, m := range s.members {
		m.wakeUp()
	}
}

func (s *faultyServer) accept() {
	for {
		nc, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, nc)
		if s.ended {
			_ = nc.Close()
		}
		s.mu.Unlock()
		m := &faultyMember{nc: nc, wake: make(chan struct{}, 1)}
		if s.waitForNames {
			if s.enter(m) {
				s.running.Go(func() { s.serve(m) })
			}
			continue
		}
		s.running.Go(func() {
			if s.enter(m) {
				s.serve(m)
			}
		})
	}
}

func (s *faultyServer) enter(m *faultyMember) bool {
	_, name, err := s.read(m.nc)
	if err != nil {
		if err == errFaultyHeader && s.dieOnBadName {
			s.end()
		}
		s.hangUp(m, err)
		return false
	}
	m.name = name
	s.mu.Lock()
	defer s.mu.Unlock()
	m.id = s.joined
	s.joined++
	s.members = append(s.members, m)
	if s.replay {
		m.push(slices.Clone(s.history))
	}
	s.running.Go(func() { s.write(m) })
	return true
}

func (s *faultyServer) serve(m *faultyMember) {
	for {
		header, body, err := s.read(m.nc)
		if err != nil {
			if s.passHalf && len(body) > 0 {
				s.publish(m, header, body)
			}
			s.mu.Lock()
			m.gone = true
			s.members = slices.DeleteFunc(s.members, func(other *faultyMember) bool { return other == m })
			m.wakeUp()
			s.mu.Unlock()
			s.hangUp(m, err)
			return
		}
		m.sent++
		switch {
		case s.dropEmpty && len(body) == 0:
		case s.loseOne && m.sent == 300:
		case s.swapPairs && m.sent%2 == 1:
			s.later(func() { s.publish(m, header, body) })
		case s.forgetLeavers:
			s.later(func() {
				s.mu.Lock()
				gone := m.gone
				s.mu.Unlock()
				if !gone {
					s.publish(m, header, body)
				}
			})
		default:
			s.publish(m, header, body)
		}
	}
}

// later calls f when nothing else happens in the bubble, after those that it was
// given before.
func (s *faultyServer) later(f func()) {
	s.delayedMu.Lock()
	defer s.delayedMu.Unlock()
	s.delayed = append(s.delayed, f)
	if len(s.delayed) > 1 {
		return
	}
	s.running.Go(func() {
		time.Sleep(time.Millisecond)
		s.delayedMu.Lock()
		delayed := s.delayed
		s.delayed = nil
		s.delayedMu.Unlock()
		for _, f := range delayed {
			f()
		}
	})
}

func (s *faultyServer) hangUp(m *faultyMember, err error) {
	switch {
	case err == errFaultyHeader && s.leakOnGarbage:
	case err == errFaultyHeader && s.dieOnGarbage:
		s.end()
	case err == io.EOF && s.leakAtEnd:
	case errors.Is(err, syscall.ECONNRESET) && s.dieOnReset:
		s.end()
	default:
		_ = m.nc.Close()
	}
}

func (s *faultyServer) publish(from *faultyMember, header, body []byte) {
	if s.waitForSlow {
		s.writing <- struct{}{}
		defer func() { <-s.writing }()
	}
	s.mu.Lock()
	signer := from
	if s.newestName {
		signer = s.members[len(s.members)-1]
	}
	name, message := s.frame(nil, signer.name), s.frame(header, body)
	unit := slices.Concat(name, message)
	if s.replay {
		s.history = append(s.history, unit...)
	}
	var waitFor []net.Conn
	for _, m := range s.members {
		switch {
		case m == from && !s.echo, s.excludeNames && string(m.name) == string(from.name):
		case s.duplicate:
			m.push(slices.Concat(unit, unit))
		case s.ownSequences && (m.id+from.id)%2 == 1:
			s.later(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				m.push(unit)
			})
		case s.tearPairs:
			m.push(name)
			s.later(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				m.push(message)
			})
		case s.waitForSlow:
			waitFor = append(waitFor, m.nc)
		default:
			m.push(unit)
		}
	}
	s.mu.Unlock()
	for _, nc := range waitFor {
		_, _ = nc.Write(unit)
	}
}

// push queues b. The server's lock must be held.
func (m *faultyMember) push(b []byte) {
	m.queue = append(m.queue, b)
	m.wakeUp()
}

func (m *faultyMember) wakeUp() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (s *faultyServer) write(m *faultyMember) {
	for range m.wake {
		s.mu.Lock()
		queue, over := m.queue, m.gone || s.ended
		m.queue = nil
		s.mu.Unlock()
		if over {
			return
		}
		for _, b := range queue {
			_, _ = m.nc.Write(b) // reading tells when the connection has ended
		}
	}
}

func (s *faultyServer) frame(header, payload []byte) []byte {
	n := len(payload)
	if s.countRunes {
		n = utf8.RuneCount(payload)
	}
	switch {
	case s.forwardHeaders && header != nil:
		return slices.Concat(header, payload)
	case s.rightJustify:
		return append(fmt.Appendf(nil, "%10d", n), payload...)
	case s.zeroPad:
		return append(fmt.Appendf(nil, "%010d", n), payload...)
	case s.noPad:
		return append(fmt.Appendf(nil, "%d", n), payload...)
	}
	return append(fmt.Appendf(nil, "%-10d", n), payload...)
}

var errFaultyHeader = fmt.Errorf("bad header")

func (s *faultyServer) read(nc net.Conn) (header, payload []byte, err error) {
	readFull := io.ReadFull
	if s.readOnce {
		readFull = func(r io.Reader, p []byte) (int, error) {
			if len(p) == 0 {
				return 0, nil
			}
			n, err := r.Read(p)
			if err == nil && n < len(p) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	header = make([]byte, 10)
	if _, err := readFull(nc, header); err != nil {
		return nil, nil, err
	}
	text := string(header)
	switch {
	case s.strictHeaders:
		text = strings.TrimRight(text, " ")
		if len(text) > 1 && text[0] == '0' {
			return nil, nil, errFaultyHeader
		}
	default:
		text = strings.Trim(text, " \t\r\n")
	}
	if s.looseHeaders {
		text = strings.ReplaceAll(strings.TrimLeft(text, "+-"), "_", "")
	}
	n, err := strconv.ParseUint(text, 10, 63)
	limit := uint64(1 << 20)
	if s.smallLimit {
		limit = 1 << 16
	}
	switch {
	case err != nil:
		return nil, nil, errFaultyHeader
	case n > limit && s.noLimit:
		_, err := io.Copy(io.Discard, nc)
		return nil, nil, err
	case n > limit:
		return nil, nil, errFaultyHeader
	}
	payload = make([]byte, n)
	n2, err := readFull(nc, payload)
	return header, payload[:n2], err
}

// A halfListener's connections are dialed in memory, and can end one direction.
type halfListener struct {
	*chatroomtest.Listener

	mu       sync.Mutex
	accepted map[string]*halfFar // by the address of the other end
}

func listenHalf(testing.TB) (net.Listener, chatroomtest.DialFunc) {
	l := &halfListener{Listener: chatroomtest.NewListener(), accepted: map[string]*halfFar{}}
	return l, func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := l.DialContext(ctx, network, address)
		return halfNear{nc, l}, err
	}
}

func (l *halfListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	far := &halfFar{Conn: nc}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[nc.RemoteAddr().String()] = far
	return far, nil
}

type halfNear struct {
	net.Conn
	l *halfListener
}

// NetConn is how the connection is found that can be reset.
func (c halfNear) NetConn() net.Conn { return c.Conn }

// CloseWrite ends what the other end reads, which must have been accepted.
func (c halfNear) CloseWrite() error {
	c.l.mu.Lock()
	far := c.l.accepted[c.LocalAddr().String()]
	c.l.mu.Unlock()
	far.ended.Store(true)
	return far.SetReadDeadline(time.Now())
}

type halfFar struct {
	net.Conn
	ended atomic.Bool
}

func (c *halfFar) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && c.ended.Load() {
		err = io.EOF
	}
	return n, err
}

//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long a delivery may take before it counts as lost.
	patience = 20 * time.Second

	// dialers is how many connections are made at the same time.
	dialers = 16

	// restTime is for how long nothing may arrive before a room counts as at rest.
	restTime = 50 * time.Millisecond
)

// errStuck says that nothing was delivered for as long as patience.
var errStuck = errors.New("deliveries are missing")

// A load is all the members of some rooms. One thread reads for all of them and
// counts what they receive, so a member costs no more than its bytes.
type load struct {
	epoll   int
	events  []unix.EpollEvent
	buf     []byte
	members []*member
	byFD    []*member

	ticker  int // file descriptor of a timer that wakes poll, or -1
	missing int // members that have received less than they should
	err     error
	quiet   time.Duration // for which nothing may arrive before the rooms count as at rest

	// stamps, if not nil, is told how long each message took, from the time that it carries
	// to its delivery to a member that is observed. If it carries none, that is -1.
	stamps func(*member, time.Duration)
}

// A member is one connection.
type member struct {
	*socket
	wire

	got, want int64 // bytes of deliveries

	group int // of a shared room's members

	// observed tells that the load reads the stamps of its deliveries. It must get no receipts.
	observed bool

	skipper frameSkipper
	stamp   [stampLen]byte
}

// newLoad connects n members to the server at addr. It returns when each has
// proved to be a member, and reports how long that took.
func newLoad(p *peer, addr string, n int) (*load, time.Duration, error) {
	l, err := newEmptyLoad()
	if err != nil {
		return nil, 0, err
	}
	took, err := l.join(p, addr, n)
	if err != nil {
		l.close()
		return nil, 0, err
	}
	return l, took, nil
}

func newEmptyLoad() (*load, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &load{epoll: epoll, ticker: -1, quiet: restTime, events: make([]unix.EpollEvent, 256), buf: make([]byte, 256<<10)}, nil
}

// join connects n more members and gives them a room of their own.
func (l *load) join(p *peer, addr string, n int) (took time.Duration, err error) {
	start := time.Now()
	members, err := connect(p, addr, len(l.members), n)
	l.members = append(l.members, members...)
	if err != nil {
		return 0, err
	}
	for _, m := range members {
		if err := l.watch(m); err != nil {
			return 0, err
		}
	}
	joined, err := l.probe(members)
	return joined.Sub(start), err
}

func (l *load) close() {
	for _, m := range l.members {
		_ = unix.Close(m.fd)
	}
	_ = unix.Close(l.epoll)
}

// connect makes n connections that enter the room at addr.
func connect(p *peer, addr string, first, n int) ([]*member, error) {
	members := make([]*member, n)
	errs := make([]error, dialers)
	var wg sync.WaitGroup
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < n; i += dialers {
				s, err := dial(addr, 0)
				if err != nil {
					errs[d] = err
					return
				}
				members[i] = &member{socket: s, wire: p.newWire(first + i)}
				if err := members[i].enter(s); err != nil {
					errs[d] = fmt.Errorf("member %d could not enter: %w", first+i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	connected := members[:0]
	for _, m := range members {
		if m != nil {
			connected = append(connected, m)
		}
	}
	return connected, cmp.Or(errs...)
}

// watch lets the load read m.
func (l *load) watch(m *member) error {
	if err := unix.SetNonblock(m.fd, true); err != nil {
		return err
	}
	for len(l.byFD) <= m.fd {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[m.fd] = m
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, m.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(m.fd)})
}

// probe sends messages until each member of a room has received one, so that no
// member is still on its way in. It returns when the last member had its
// message. The room is at rest then.
func (l *load) probe(room []*member) (joined time.Time, err error) {
	payload := make([]byte, payloadLen)
	for i := range payload {
		payload[i] = 'p'
	}
	sender := room[0]
	message := sender.encode(payload)
	for _, m := range room {
		m.want = m.got + int64(m.delivery)
	}
	if !sender.echo {
		sender.want = sender.got
	}
	l.countMissing(room)
	interval := 5 * time.Millisecond
	for deadline := time.Now().Add(patience); l.missing > 0; interval *= 2 {
		if time.Now().After(deadline) {
			return joined, fmt.Errorf("%d of %d members are not in after %v", l.missing, len(room), patience)
		}
		if err := l.send(sender, message); err != nil {
			return joined, err
		}
		if err := l.await(interval); err != nil && err != errStuck {
			return joined, err
		}
	}
	joined = time.Now()
	if err := l.rest(); err != nil {
		return joined, err
	}
	for _, m := range l.members {
		m.want = m.got
	}
	return joined, nil
}

// send writes all of message, which is small.
func (l *load) send(m *member, message []byte) error {
	for {
		n, err := unix.Write(m.fd, message)
		switch {
		case err == unix.EAGAIN:
			if err := l.poll(time.Millisecond); err != nil {
				return err
			}
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("send: %w", err)
		default:
			if message = message[max(n, 0):]; len(message) == 0 {
				return nil
			}
		}
	}
}

func (l *load) countMissing(members []*member) {
	l.missing = 0
	for _, m := range members {
		if m.got < m.want {
			l.missing++
		}
	}
}

// await reads until no member misses anything. It returns errStuck if nothing
// arrives for as long as limit.
func (l *load) await(limit time.Duration) error {
	last, seen := time.Now(), l.missing
	before := l.received()
	for l.missing > 0 {
		if err := l.poll(limit); err != nil {
			return err
		}
		if time.Since(last) < limit {
			continue
		}
		now := l.received()
		if now == before && l.missing == seen {
			return errStuck
		}
		last, before, seen = time.Now(), now, l.missing
	}
	return nil
}

func (l *load) received() (sum int64) {
	for _, m := range l.members {
		sum += m.got
	}
	return sum
}

// rest reads until nothing arrives any more.
func (l *load) rest() error {
	for before := int64(-1); before != l.received(); {
		before = l.received()
		for until := time.Now().Add(l.quiet); time.Now().Before(until); {
			if err := l.poll(time.Until(until)); err != nil {
				return err
			}
		}
	}
	return nil
}

// verify checks that every member has received exactly what it should. The
// rooms must be at rest.
func (l *load) verify() error {
	if err := l.rest(); err != nil {
		return err
	}
	for i, m := range l.members {
		if m.got != m.want {
			return fmt.Errorf("member %d received %d bytes, want %d", i, m.got, m.want)
		}
	}
	return nil
}

// startTicker makes poll return at every interval.
func (l *load) startTicker(interval time.Duration) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return err
	}
	l.ticker = fd
	tick := unix.NsecToTimespec(interval.Nanoseconds())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		l.stopTicker()
		return err
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		l.stopTicker()
		return err
	}
	return nil
}

func (l *load) stopTicker() {
	_ = unix.Close(l.ticker)
	l.ticker = -1
}

// poll waits for input, but no longer than limit, and reads once from every
// member that has some.
func (l *load) poll(limit time.Duration) error {
	n, err := unix.EpollWait(l.epoll, l.events, int(max(limit, 0).Milliseconds()))
	if err != nil && err != unix.EINTR {
		return err
	}
	for _, e := range l.events[:max(n, 0)] {
		if int(e.Fd) == l.ticker {
			_, _ = unix.Read(l.ticker, l.buf[:8]) // so that it goes on
			continue
		}
		l.read(l.byFD[e.Fd])
	}
	return l.err
}

func (l *load) read(m *member) {
	n, err := unix.Read(m.fd, l.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0:
		l.err = fmt.Errorf("the server closed a member's connection (%w)", errors.Join(errors.New("end of stream"), err))
		return
	}
	before := m.got
	if !m.framed {
		l.count(m, l.buf[:n])
	} else {
		for payload, rest := m.skipper.next(l.buf[:n]); ; payload, rest = m.skipper.next(rest) {
			l.count(m, payload)
			if len(rest) == 0 {
				break
			}
		}
	}
	if before < m.want && m.got >= m.want {
		l.missing--
	}
}

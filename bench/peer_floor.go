//go:build linux

package main

import (
	"net"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// floorPeer is about the least that a room costs on this machine. It has no
// checks, no limits, and nothing of what makes a server safe to run.
var floorPeer = &peer{
	name:    "floor",
	how:     "part of this program: one epoll loop, which reads what all have sent, then writes all of it to each member with one system call; no checks",
	serve:   serveOne(serveFloor),
	newWire: newChatroomWire,
}

// floorHeader is the length of a frame's header in bytes.
const floorHeader = 10

// A floor takes turns. In each, it reads once from each connection that has
// something to read, and writes what came to each member. If a member does not
// take everything, the rest is copied, so that nothing of a turn is left over.
type floor struct {
	epoll  int
	events []unix.EpollEvent
	conns  []*floorConn // by file descriptor
	room   []*floorConn // those that have sent a name
	buf    []byte       // what is read
	turn   []byte       // what is published in this turn, as it is written
	parts  [2]unix.Iovec
}

// A floorConn is one connection of the floor's.
type floorConn struct {
	fd     int
	name   []byte // as a frame; nil until it is there
	unread []byte // an unfinished frame
	unsent []byte // what was published in earlier turns; unless empty, fd is watched for room to write

	ownFrom, ownTo int // which bytes of the turn it has sent itself
}

func serveFloor(l net.Listener) error {
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // keeps it open until then
	listener := int(file.Fd())
	if err := unix.SetNonblock(listener, true); err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	f := &floor{epoll: epoll, events: make([]unix.EpollEvent, 1024), buf: make([]byte, 256<<10)}
	f.watch(unix.EPOLL_CTL_ADD, listener, unix.EPOLLIN)
	for {
		n, err := f.wait()
		if err != nil {
			return err
		}
		for _, e := range f.events[:n] {
			if int(e.Fd) == listener {
				f.accept(listener)
				continue
			}
			c := f.conns[e.Fd]
			if e.Events&unix.EPOLLOUT != 0 {
				f.flush(c)
			}
			if e.Events&^unix.EPOLLOUT != 0 {
				f.read(c)
			}
		}
		if len(f.turn) == 0 {
			continue
		}
		for _, c := range f.room {
			f.deliver(c)
		}
		f.turn = f.turn[:0]
	}
}

// wait waits until there are events, and returns how many. It makes its system
// call without telling the scheduler. If it told it, the runtime would take the
// processor away after some microseconds, and its monitor would look for that
// all the time. When the runtime wants the processor, it sends a signal.
func (f *floor) wait() (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(f.epoll),
			uintptr(unsafe.Pointer(unsafe.SliceData(f.events))), uintptr(len(f.events)), ^uintptr(0), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			runtime.Gosched()
		default:
			return 0, errno
		}
	}
}

func (f *floor) watch(op, fd int, events uint32) {
	_ = unix.EpollCtl(f.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (f *floor) accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for len(f.conns) <= fd {
			f.conns = append(f.conns, nil)
		}
		f.conns[fd] = &floorConn{fd: fd}
		f.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
	}
}

// read reads once from c and publishes the messages that are whole.
func (f *floor) read(c *floorConn) {
	r, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(f.buf))), uintptr(len(f.buf)))
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0 || r == 0:
		f.drop(c)
		return
	}
	in := f.buf[:r]
	if len(c.unread) > 0 {
		c.unread = append(c.unread, in...)
		in = c.unread
	}
	c.ownFrom = len(f.turn)
	for len(in) >= floorHeader {
		length := 0
		for _, digit := range in[:floorHeader] {
			if digit == ' ' {
				break
			}
			length = 10*length + int(digit-'0')
		}
		length += floorHeader
		if len(in) < length {
			break
		}
		if c.name == nil {
			c.name = append(c.name, in[:length]...)
			f.room = append(f.room, c)
		} else {
			f.turn = append(f.turn, c.name...)
			f.turn = append(f.turn, in[:length]...)
		}
		in = in[length:]
	}
	c.ownTo = len(f.turn)
	c.unread = append(c.unread[:0], in...)
}

// deliver writes to c what others have sent in this turn.
func (f *floor) deliver(c *floorConn) {
	before, after := f.turn[:c.ownFrom], f.turn[c.ownTo:]
	c.ownFrom, c.ownTo = 0, 0
	size := len(before) + len(after)
	n := 0
	if len(c.unsent) == 0 && size > 0 {
		n = f.write(c.fd, before, after)
		if n < size {
			f.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN|unix.EPOLLOUT)
		}
	}
	c.unsent = append(c.unsent, before[min(n, len(before)):]...)
	c.unsent = append(c.unsent, after[max(n-len(before), 0):]...)
}

// flush writes to c what it did not take before.
func (f *floor) flush(c *floorConn) {
	n := f.write(c.fd, nil, c.unsent)
	c.unsent = c.unsent[:copy(c.unsent, c.unsent[n:])]
	if len(c.unsent) == 0 {
		f.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN)
	}
}

// write writes both parts, and returns how many bytes fd has taken. If it
// fails, it returns 0, because reading reports the error.
func (f *floor) write(fd int, before, after []byte) int {
	for i, p := range [...][]byte{before, after} {
		f.parts[i].Base = unsafe.SliceData(p)
		f.parts[i].SetLen(len(p))
	}
	n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&f.parts)), uintptr(len(f.parts)))
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (f *floor) drop(c *floorConn) {
	for i, other := range f.room {
		if other == c {
			f.room[i] = f.room[len(f.room)-1]
			f.room = f.room[:len(f.room)-1]
			break
		}
	}
	f.conns[c.fd] = nil
	_ = unix.Close(c.fd)
}

//go:build linux

package main

import (
	"net"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// floorPeer is the least that a room costs on this machine: one thread, one
// epoll, no checks, no limits, and nothing of what makes a server safe to run.
var floorPeer = &peer{
	name:    "floor",
	how:     "part of this program: one thread, one epoll loop, a pending buffer for each connection, no checks",
	serve:   serveOne(serveFloor),
	newWire: newChatroomWire,
}

// A floorConn is one connection of the floor's.
type floorConn struct {
	fd      int
	name    []byte // as a frame; nil until it is there
	unread  []byte // an unfinished frame
	pending []byte // to be written
	dirty   bool   // pending was empty when this turn began
	blocked bool   // the socket was full
}

type floor struct {
	epoll int
	conns []*floorConn // by file descriptor
	room  []*floorConn
	dirty []*floorConn
	buf   []byte // what is read
	out   []byte // what is published
}

func serveFloor(l net.Listener) error {
	runtime.LockOSThread()
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
	f := &floor{epoll: epoll, buf: make([]byte, 256<<10)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, listener, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(listener)}); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
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
		for _, c := range f.dirty {
			c.dirty = false
			f.flush(c)
		}
		f.dirty = f.dirty[:0]
	}
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
		_ = unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
}

func (f *floor) read(c *floorConn) {
	n, errno := rawIO(unix.SYS_READ, c.fd, f.buf)
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0 || n == 0:
		f.drop(c)
		return
	}
	in := f.buf[:n]
	if len(c.unread) > 0 {
		c.unread = append(c.unread, in...)
		in = c.unread
	}
	from := 0 // of the messages read now
	rd := 0
	for len(in)-rd >= 10 {
		length := 0
		for _, digit := range in[rd : rd+10] {
			if digit == ' ' {
				break
			}
			length = 10*length + int(digit-'0')
		}
		if len(in)-rd < 10+length {
			break
		}
		rd += 10 + length
		if c.name == nil {
			c.name = append(c.name, in[:rd]...)
			f.room = append(f.room, c)
			from = rd
		}
	}
	if rd > from {
		f.publish(c, in[from:rd])
	}
	c.unread = append(c.unread[:0], in[rd:]...)
}

// publish appends the name and each of the messages to what is pending for all
// others.
func (f *floor) publish(sender *floorConn, messages []byte) {
	out := f.out[:0]
	for rd := 0; rd < len(messages); {
		length := 0
		for _, digit := range messages[rd : rd+10] {
			if digit == ' ' {
				break
			}
			length = 10*length + int(digit-'0')
		}
		out = append(out, sender.name...)
		out = append(out, messages[rd:rd+10+length]...)
		rd += 10 + length
	}
	f.out = out
	for _, c := range f.room {
		if c == sender {
			continue
		}
		c.pending = append(c.pending, out...)
		if !c.dirty && !c.blocked {
			c.dirty = true
			f.dirty = append(f.dirty, c)
		}
	}
}

func (f *floor) flush(c *floorConn) {
	if len(c.pending) == 0 {
		return
	}
	n, errno := rawIO(unix.SYS_WRITE, c.fd, c.pending)
	if errno != 0 && errno != unix.EAGAIN {
		return // its end shows when it is read
	}
	c.pending = c.pending[:copy(c.pending, c.pending[max(n, 0):])]
	if blocked := len(c.pending) > 0; blocked != c.blocked {
		c.blocked = blocked
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
		if blocked {
			event.Events |= unix.EPOLLOUT
		}
		_ = unix.EpollCtl(f.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
	}
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
	c.pending, c.blocked = nil, true
	_ = unix.Close(c.fd)
}

// rawIO makes a system call that does not block without telling the scheduler.
func rawIO(trap uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// enterTimeout bounds each system call of a connection's handshake.
const enterTimeout = 20 * time.Second

// A socket is a TCP connection of the load's. It blocks until it is started.
type socket struct{ fd int }

var _ io.ReadWriter = (*socket)(nil)

// dial connects to addr. Unless rcvbuf is zero, it asks for a receive buffer of
// that many bytes.
func dial(addr string, rcvbuf int) (*socket, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	timeout := unix.NsecToTimeval(enterTimeout.Nanoseconds())
	for _, err := range []error{
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
	} {
		if err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
	}
	if rcvbuf > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvbuf); err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
	}
	to := &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	for err = unix.Connect(fd, to); err == unix.EINTR; err = unix.Connect(fd, to) {
	}
	if err != nil && err != unix.EISCONN {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", addr, err), unix.Close(fd))
	}
	return &socket{fd: fd}, nil
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes all of p.
func (s *socket) Write(p []byte) (int, error) {
	for done := 0; ; {
		n, err := unix.Write(s.fd, p[done:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, err
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}

// readThrough reads what the server says, up to end. The server says nothing
// more until it is spoken to.
func (s *socket) readThrough(end string) error {
	buf := make([]byte, 0, 4096)
	for !bytes.HasSuffix(buf, []byte(end)) {
		if len(buf) == cap(buf) {
			return fmt.Errorf("no %q in %d bytes of the server's", end, len(buf))
		}
		n, err := s.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return fmt.Errorf("wait for %q after %q: %w", end, buf, err)
		}
		buf = buf[:len(buf)+n]
	}
	return nil
}

// upgrade makes the connection a WebSocket.
func (s *socket) upgrade(path string) error {
	request := strings.ReplaceAll("GET "+path+` HTTP/1.1
Host: bench
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

`, "\n", "\r\n")
	if _, err := s.Write([]byte(request)); err != nil {
		return err
	}
	return s.readThrough("\r\n\r\n")
}

// maskedFrame returns payload as a WebSocket message of a client's, of less than
// 64 KiB.
func maskedFrame(opcode byte, payload []byte) []byte {
	frame := []byte{0x80 | opcode}
	if n := len(payload); n < 126 {
		frame = append(frame, 0x80|byte(n))
	} else {
		frame = append(frame, 0x80|126, byte(n>>8), byte(n))
	}
	mask := [4]byte{0x3a, 0x91, 0x5c, 0xe7}
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return frame
}

// A frameSkipper finds the payloads in a WebSocket stream of a server's.
type frameSkipper struct {
	header [10]byte
	have   int // bytes of header
	left   int // bytes of the frame's payload
	skip   bool
}

// next returns the part of the first payload that is in p, which may be empty,
// and what follows it.
func (f *frameSkipper) next(p []byte) (payload, rest []byte) {
	for f.left == 0 {
		if len(p) == 0 {
			return nil, nil
		}
		f.header[f.have], p = p[0], p[1:]
		f.have++
		if f.have < 2 {
			continue
		}
		length := int(f.header[1])
		switch {
		case length == 126 && f.have < 4, length == 127 && f.have < 10:
			continue
		case length >= 126:
			length = 0
			for _, b := range f.header[2:f.have] {
				length = length<<8 | int(b)
			}
		}
		f.have, f.left = 0, length
		f.skip = f.header[0]&0x0f >= 8 // pings do not count
	}
	n := min(f.left, len(p))
	f.left -= n
	if f.skip {
		return nil, p[n:]
	}
	return p[:n], p[n:]
}

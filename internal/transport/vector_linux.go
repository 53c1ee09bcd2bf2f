//go:build linux && (amd64 || arm64) && !race

package transport

import (
	"syscall"
	"unsafe"
)

// The scheduler is not told of the system calls here, or it would take the processor
// away during the longer ones. So they must never wait, also if a program has made
// the socket a blocking one. The race detector must be told, so it has the calls of
// vector_unix.go.

// readFD reads into p, which must not be empty.
func readFD(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_DONTWAIT, 0, 0)
		if errno != syscall.EINTR {
			return max(int(n), 0), errno
		}
	}
}

// A vector is what a write of several runs needs.
type vector struct {
	iov [MaxRuns + 1]syscall.Iovec // one for the header of a frame
	msg syscall.Msghdr
}

// writeFD writes runs, none of which may be empty, as far as the vector goes.
func (v *vector) writeFD(fd uintptr, runs [][]byte, _ bool) (int, syscall.Errno) {
	iov := v.iov[:min(len(runs), len(v.iov))]
	for i := range iov {
		iov[i].Base = &runs[i][0]
		iov[i].SetLen(len(runs[i]))
	}
	defer clear(iov) // or they would keep the runs
	v.msg.Iov, v.msg.Iovlen = &iov[0], uint64(len(iov))
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&v.msg)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		if errno != syscall.EINTR {
			return max(int(n), 0), errno
		}
	}
}

//go:build !race

package transport

import (
	"syscall"
	"unsafe"
)

// The system calls here do not wait, and are made without telling the scheduler,
// which would take the processor away during the longer of them, or the race
// detector, which therefore gets those of vector_unix.go.

// readFD reads into p, which must not be empty.
func readFD(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

// A vector is what writev needs.
type vector struct{ iov [64]syscall.Iovec }

// writeFD writes runs, none of which may be empty, as far as the vector goes.
func (v *vector) writeFD(fd uintptr, runs [][]byte) (int, syscall.Errno) {
	iov := v.iov[:min(len(runs), len(v.iov))]
	for i := range iov {
		iov[i].Base = &runs[i][0]
		iov[i].SetLen(len(runs[i]))
	}
	defer clear(iov) // or they would keep the runs
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

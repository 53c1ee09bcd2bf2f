//go:build unix && !(linux && (amd64 || arm64) && !race)

package transport

import (
	"errors"
	"syscall"
)

// readFD reads into p.
func readFD(fd uintptr, p []byte) (int, syscall.Errno) {
	return ignoringEINTR(syscall.Read, fd, p)
}

// A vector is what writing several runs at once needs: nothing, they are copied.
type vector struct{ scratch []byte }

// writeFD writes runs, as many as are worth copying together.
func (v *vector) writeFD(fd uintptr, runs [][]byte) (int, syscall.Errno) {
	p := runs[0]
	if len(runs) > 1 && len(p) < gatherBelow {
		if v.scratch == nil {
			v.scratch = make([]byte, 0, gatherTo)
		}
		p = gather(v.scratch, runs)
	}
	return ignoringEINTR(syscall.Write, fd, p)
}

func ignoringEINTR(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR {
			var errno syscall.Errno
			errors.As(err, &errno)
			return max(n, 0), errno
		}
	}
}

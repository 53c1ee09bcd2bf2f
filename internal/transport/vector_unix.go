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

// writeFD writes runs, as many as are worth copying together. If cut is set, that may end
// anywhere: a frame's header alone is not worth a system call.
func (v *vector) writeFD(fd uintptr, runs [][]byte, cut bool) (int, syscall.Errno) {
	p := runs[0]
	if len(runs) > 1 && len(p) < gatherBelow {
		if v.scratch == nil {
			v.scratch = make([]byte, 0, gatherTo)
		}
		if p = gather(v.scratch, runs); cut {
			p = fillUp(p, runs)
		}
	}
	return ignoringEINTR(syscall.Write, fd, p)
}

// fillUp appends to p, which begins with whole runs, what fits of the next one.
func fillUp(p []byte, runs [][]byte) []byte {
	rest := len(p)
	for _, run := range runs {
		if rest < len(run) {
			return append(p, run[:min(len(run), cap(p)-len(p))]...)
		}
		rest -= len(run)
	}
	return p
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

//go:build unix

package chatroom

import (
	"math"
	"syscall"
)

// maxFiles returns how many files the process may open.
func maxFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt
	}
	return int(min(limit.Cur, math.MaxInt32))
}

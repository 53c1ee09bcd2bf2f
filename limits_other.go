//go:build !unix

package chatroom

import "math"

// maxFiles returns how many files the process may open: the system has no limit.
func maxFiles() int { return math.MaxInt }

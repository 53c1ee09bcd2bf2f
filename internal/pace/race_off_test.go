//go:build !race

package pace_test

const (
	slowed       = false
	defaultRooms = 2000
)

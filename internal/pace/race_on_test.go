//go:build race

package pace_test

// The race detector makes the model slow, and there is nothing for it to find.
const (
	slowed       = true
	defaultRooms = 100
)

package chatroom

import (
	"math"

	"example.com/chatroom/internal/journal"
)

// A history is where the last messages of a room's log begin, the oldest first. It keeps
// them alive.
type history []journal.Cursor

// add notes the message that was appended last.
func (h *history) add(log *journal.Log) { *h = append(*h, log.Last()) }

// trim forgets all but the last n messages, and those that begin before the position
// from, unless that was appended last.
func (h *history) trim(log *journal.Log, n int, from int64) {
	for last := log.Last(); len(*h) > n || len(*h) > 0 && (*h)[0].Pos() < min(from, last.Pos()); {
		(*h)[0] = journal.Cursor{} // which would keep the log for as long as the array lasts
		*h = (*h)[1:]
	}
}

// start returns where a newcomer begins to read.
func (h history) start(log *journal.Log) journal.Cursor {
	if len(h) > 0 {
		return h[0]
	}
	return log.Cursor()
}

// pos returns the position before which the log is not needed for the history.
func (h history) pos() int64 {
	if len(h) > 0 {
		return h[0].Pos()
	}
	return math.MaxInt64
}

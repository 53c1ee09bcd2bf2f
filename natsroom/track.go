package natsroom

import (
	"container/list"
	"time"
)

const (
	// maxUnit is how many bytes a unit may have that comes in fragments, and maxPartial how
	// many all have that have not come whole.
	maxUnit    = 64 << 20
	maxPartial = 256 << 20

	// maxTracked is how many incarnations are kept track of.
	maxTracked = 1 << 16
)

// A verdict is what a message's number says about it.
type verdict int

const (
	isNext   verdict = iota // it follows what was read of its incarnation
	isRepeat                // it was read before, or should have been
	isJump                  // messages of its incarnation before it are lost
)

// A tracker keeps what was read of each incarnation. It decides what is read for the first
// time, and puts units together that come in fragments. It goes by the stream alone, so that
// all servers decide alike.
type tracker struct {
	known   map[uint64]*list.Element
	byAge   list.List // of *tracked, those that published last at the end
	partial int       // bytes of units that have not come whole
}

// A tracked incarnation is one that the tracker has read messages of.
type tracked struct {
	incarnation uint64
	n           uint64    // of its last message
	loose       bool      // the next number may be any higher one
	at          time.Time // when the stream took the last message
	total       uint64    // bytes of the unit that comes in fragments, or 0
	unit        []byte    // what has come of it
}

func newTracker() *tracker { return &tracker{known: make(map[uint64]*list.Element)} }

// see takes note of a message's number. An incarnation's first number may be any.
func (t *tracker) see(e envelope, at time.Time) verdict {
	elem := t.known[e.incarnation]
	if elem == nil {
		t.known[e.incarnation] = t.byAge.PushBack(&tracked{incarnation: e.incarnation, n: e.n, at: at})
		if len(t.known) > maxTracked {
			t.forget(t.byAge.Front())
		}
		return isNext
	}
	known := elem.Value.(*tracked)
	if e.n <= known.n {
		return isRepeat
	}
	v := isNext
	if e.n != known.n+1 {
		t.drop(known)
		if !known.loose {
			v = isJump
		}
	}
	known.n, known.loose, known.at = e.n, false, at
	t.byAge.MoveToBack(elem)
	return v
}

// skipped has every incarnation go on with any higher number, since part of the stream was
// not read.
func (t *tracker) skipped() {
	for e := t.byAge.Front(); e != nil; e = e.Next() {
		e.Value.(*tracked).loose = true
	}
}

// assemble adds a fragment of the incarnation that see was told of last, and returns the unit
// once it is whole. It reports false if the fragment does not follow the last one, as when the
// reader has begun behind the unit's beginning.
func (t *tracker) assemble(e envelope, f fragment) (unit []byte, ok bool) {
	known := t.byAge.Back().Value.(*tracked)
	if known.incarnation != e.incarnation {
		return nil, false
	}
	if f.offset == 0 {
		t.drop(known)
		known.total = f.total
	}
	if f.total != known.total || f.offset != uint64(len(known.unit)) {
		t.drop(known)
		return nil, false
	}
	known.unit = append(known.unit, f.data...)
	t.partial += len(f.data)
	if uint64(len(known.unit)) < known.total {
		t.bound(known)
		return nil, true
	}
	unit = known.unit
	t.drop(known)
	return unit, true
}

// finish gives up a unit of which fragments have come, since another message has.
func (t *tracker) finish() { t.drop(t.byAge.Back().Value.(*tracked)) }

// bound drops what came longest ago while unfinished units keep too much, but not keep.
func (t *tracker) bound(keep *tracked) {
	for e := t.byAge.Front(); e != nil && t.partial > maxPartial; e = e.Next() {
		if known := e.Value.(*tracked); known != keep {
			t.drop(known)
		}
	}
}

func (t *tracker) drop(known *tracked) {
	t.partial -= len(known.unit)
	known.total, known.unit = 0, nil
}

func (t *tracker) forget(elem *list.Element) {
	known := elem.Value.(*tracked)
	t.drop(known)
	delete(t.known, known.incarnation)
	t.byAge.Remove(elem)
}

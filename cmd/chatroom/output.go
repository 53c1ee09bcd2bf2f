package main

import (
	"io"
	"sync"
)

// maxPending is how many bytes of lines may wait for an earlier write.
const maxPending = 1 << 20

// An output gathers lines during a write and writes them together with the
// next. So a busy room costs few system calls, and a quiet one waits for
// nothing. It is safe for concurrent use. One goroutine writes.
type output struct {
	// Fixed after construction.
	w     io.Writer
	limit int // of pending, in bytes: nothing is added once it is reached

	// mu guards the fields below; changed is signalled when they change.
	mu      sync.Mutex
	changed sync.Cond
	pending []byte
	dropped int   // lines that were offered after the pending ones, and dropped
	closed  bool  // nothing is added any more
	err     error // of the write that failed
}

func newOutput(w io.Writer, limit int) *output {
	o := &output{w: w, limit: limit}
	o.changed.L = &o.mu
	return o
}

// add adds a line when there is room for it. Once nothing is added or written
// any more, it returns false without waiting.
func (o *output) add(line []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) >= o.limit && !o.closed && o.err == nil {
		o.changed.Wait()
	}
	if o.closed || o.err != nil {
		return false
	}
	o.pending = append(o.pending, line...)
	o.changed.Broadcast()
	return true
}

// offer adds a line if there is room for it now, and otherwise counts it as
// dropped.
func (o *output) offer(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
	case len(o.pending) >= o.limit:
		o.dropped++
	default:
		o.pending = append(o.pending, line...)
		o.changed.Broadcast()
	}
}

// close adds last, even if there is no room for it, and lets nothing be added
// after that. It does not wait for a write. Later calls do nothing.
func (o *output) close(last string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.closed = true
	o.pending = append(o.pending, last...)
	o.changed.Broadcast()
}

// writeAll writes what is added. It returns when o is closed and everything is
// written, or when a write fails.
func (o *output) writeAll() error {
	var batch []byte
	for {
		batch, _ = o.take(batch)
		if len(batch) == 0 {
			return nil
		}
		if _, err := o.w.Write(batch); err != nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.err = err
			o.changed.Broadcast()
			return err
		}
	}
}

// take waits for lines. It returns all that there are, or none if o is closed,
// and how many were dropped after them. Lines added later reuse the memory of
// the batch that has been written.
func (o *output) take(written []byte) (batch []byte, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) == 0 && !o.closed {
		o.changed.Wait()
	}
	batch, dropped = o.pending, o.dropped
	o.pending, o.dropped = written[:0], 0
	o.changed.Broadcast()
	return batch, dropped
}

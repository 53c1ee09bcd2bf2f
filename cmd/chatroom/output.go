package main

import (
	"io"
	"sync"
)

// maxPending is how much output, in bytes, may wait for the write before it.
const maxPending = 1 << 20

// An output gathers lines while a write lasts and writes them with the next: a
// busy room then costs few system calls, and a quiet one waits for nothing.
type output struct {
	w io.Writer

	// mu guards the fields below; changed is signalled when they change.
	mu      sync.Mutex
	changed sync.Cond
	pending []byte
	closed  bool  // nothing is added any more
	err     error // of the write that failed
}

func newOutput(w io.Writer) *output {
	o := &output{w: w}
	o.changed.L = &o.mu
	return o
}

// add adds a line, once there is room for it. It returns false when nothing is
// written any more.
func (o *output) add(line []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) >= maxPending && o.err == nil {
		o.changed.Wait()
	}
	o.pending = append(o.pending, line...)
	o.changed.Broadcast()
	return o.err == nil
}

// close tells writeAll that nothing is added any more.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Broadcast()
}

// writeAll writes what is added until all of it is written and o is closed, or
// a write fails.
func (o *output) writeAll() error {
	var batch []byte
	for {
		batch = o.take(batch)
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

// take waits for lines and returns all that there are, none if o is closed. The
// lines to come use the memory of the batch that is written.
func (o *output) take(written []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) == 0 && !o.closed {
		o.changed.Wait()
	}
	batch := o.pending
	o.pending = written[:0]
	o.changed.Broadcast()
	return batch
}

package chatroom

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Deliver publishes batches in the order given. It is for an [Order], and own tells that
// this server has submitted them: then they are not for their sender, nor for those in
// Except. Batches for a room that does not exist are for nobody but, with [WithHistory],
// those who join within a minute.
//
// Deliver blocks while publishing waits for slower members of a batch's room, and so holds
// up whatever the order has for other rooms. When ctx ends first, it returns ctx.Err(), and
// what it has not published is lost to this server's members. It returns [ErrServerClosed]
// when the server has ended. It keeps nothing of the batches.
//
// Deliver logs and skips a batch unless its frames come in pairs, are whole, have headers
// as [AppendFrame] writes them, and are no longer than [WithMaxMessage] allows, which should
// be the same on all servers. Deliver is safe for concurrent use, but batches of concurrent
// calls are published in any sequence.
func (s *Server) Deliver(ctx context.Context, own bool, batches ...Batch) error {
	select {
	case <-s.sealed:
		return ErrServerClosed
	default:
	}
	for len(batches) > 0 {
		first := &batches[0]
		if err := s.checkFrames(first.Frames); err != nil {
			s.log(slog.LevelWarn, "batch skipped", slog.String("room", first.Room), slog.Uint64("id", first.Sender),
				slog.Bool("own", own), slog.Any("error", err))
			batches = batches[1:]
			continue
		}
		n := 1
		for size := len(first.Frames); n < len(batches) && batches[n].Room == first.Room && batches[n].All == first.All; n++ {
			size += len(batches[n].Frames)
			if size > maxChunk || s.checkFrames(batches[n].Frames) != nil {
				break
			}
		}
		if err := s.deliver(ctx, own, batches[:n]); err != nil {
			return err
		}
		batches = batches[n:]
	}
	return nil
}

// deliver publishes batches for one room, or for all.
func (s *Server) deliver(ctx context.Context, own bool, batches []Batch) error {
	if batches[0].All {
		return s.inRooms(ctx, s.liveRooms(), roomEnding, func(r *room) { r.deliverAndUnlock(own, batches) })
	}
	for {
		r := s.findRoom(batches[0].Room, true)
		if r == nil {
			return nil
		}
		switch err := r.enter(ctx, roomEnding); err {
		case errRoomGone:
		case nil:
			r.deliverAndUnlock(own, batches)
			s.measureEmpty(r)
			return nil
		default:
			return err
		}
	}
}

// deliverAndUnlock appends the messages of batches, which are well formed, to the log.
// r.mu must be held; it is released before goroutines are started.
func (r *room) deliverAndUnlock(own bool, batches []Batch) {
	var few [8]uint64 // so that a few excepted need no memory
	var woken *[]*seat
	grew := false
	for i := range batches {
		excepted := few[:0]
		if own {
			excepted = r.exceptedLocked(excepted, &batches[i])
		}
		start, n := r.log.Cursor(), 0
		for frames := batches[i].Frames; ; n++ {
			size, err := messageLen(frames, maxLength)
			if err != nil { // nothing is left
				break
			}
			grew = r.appendLocked(0, excepted, frames[:size]) || grew
			frames = frames[size:]
		}
		woken = r.showLocked(woken, start, n, 0, excepted)
	}
	r.startAndUnlock(grew, woken)
}

// exceptedLocked appends the ids of the members whom b, which this server has submitted,
// is not for to ids, which is empty, each once and ascending. r.mu must be held.
func (r *room) exceptedLocked(ids []uint64, b *Batch) []uint64 {
	if _, listed := r.ids[b.Sender]; listed {
		ids = append(ids, b.Sender)
	}
	for _, id := range b.Except {
		if _, listed := r.ids[id]; listed {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// checkFrames returns why frames cannot be published as messages, or nil.
func (s *Server) checkFrames(frames []byte) error {
	for first := true; first || len(frames) > 0; first = false {
		n, err := messageLen(frames, s.cfg.maxMessage)
		if err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

// messageLen returns the length of the first message in frames: a frame with a name, and
// one with a text. Both must be as AppendFrame writes them.
func messageLen(frames []byte, limit int) (n int, err error) {
	for range 2 {
		rest := frames[n:]
		if len(rest) < headerLen {
			return 0, io.ErrUnexpectedEOF
		}
		header := (*[headerLen]byte)(rest)
		size, ok := strictLength(header)
		switch {
		case !ok:
			return 0, fmt.Errorf("%w %q: want digits, then spaces", ErrBadHeader, header[:])
		case size > int64(limit):
			return 0, fmt.Errorf("%w: header %q, the limit is %d", ErrFrameTooLarge, header[:], limit)
		case size > int64(len(rest)-headerLen):
			return 0, io.ErrUnexpectedEOF
		}
		n += headerLen + int(size)
	}
	return n, nil
}

// strictLength returns the payload length that header announces, if it is as encodeHeader
// writes it. It takes a third of the time of decodeHeader and encodeHeader.
func strictLength(header *[headerLen]byte) (n int64, ok bool) {
	i := 0
	for ; i < headerLen && '0' <= header[i] && header[i] <= '9'; i++ {
		n = n*10 + int64(header[i]-'0')
	}
	ok = i == 1 || i > 1 && header[0] != '0'
	for ; i < headerLen; i++ {
		ok = ok && header[i] == ' '
	}
	return n, ok
}

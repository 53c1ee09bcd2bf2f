package cookbook

import (
	"bytes"
	"context"
	"regexp"
	"sync"
	"time"

	"example.com/chatroom"
	"golang.org/x/time/rate"
)

// RateLimit slows down whoever says more than that.
func RateLimit(perSecond rate.Limit, burst int) []chatroom.ServerOption {
	return []chatroom.ServerOption{
		chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			j.Value = rate.NewLimiter(perSecond, burst)
			return nil
		}),
		chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, _ *chatroom.Message) error {
			return m.Value.(*rate.Limiter).Wait(ctx)
		}),
	}
}

// SlowMode lets each member say something once in a while, and tells who says more.
func SlowMode(every time.Duration) []chatroom.ServerOption {
	type last struct{ at time.Time }
	return []chatroom.ServerOption{
		chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			j.Value = new(last)
			return nil
		}),
		chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, _ *chatroom.Message) error {
			said := m.Value.(*last) // only this hook uses it, and m's messages come one by one
			if wait := time.Until(said.at.Add(every)); wait > 0 {
				_ = m.Send(ctx, "host", []byte("slow mode: wait for "+wait.Round(time.Second).String()))
				return chatroom.ErrDrop
			}
			said.at = time.Now()
			return nil
		}),
	}
}

// Mutes keeps members from speaking. The zero value mutes nobody.
type Mutes struct {
	mu    sync.Mutex
	until map[string]time.Time // by name
}

// Mute silences who is called name until then. A time in the past ends it.
func (mutes *Mutes) Mute(name string, until time.Time) {
	mutes.mu.Lock()
	defer mutes.mu.Unlock()
	if mutes.until == nil {
		mutes.until = make(map[string]time.Time)
	}
	mutes.until[name] = until
}

// Option is the hook for the server.
func (mutes *Mutes) Option() chatroom.ServerOption {
	return chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, _ *chatroom.Message) error {
		mutes.mu.Lock()
		muted := time.Now().Before(mutes.until[m.Name])
		if !muted {
			delete(mutes.until, m.Name)
		}
		mutes.mu.Unlock()
		if !muted {
			return nil
		}
		_ = m.Send(ctx, "host", []byte("you are muted")) // fails only if m has left, or the server ends
		return chatroom.ErrDrop
	})
}

// Words replaces words by stars.
func Words(bad *regexp.Regexp) chatroom.ServerOption {
	return chatroom.WithOnMessage(func(_ context.Context, _ chatroom.Member, msg *chatroom.Message) error {
		msg.Body = bad.ReplaceAllFunc(msg.Body, func(word []byte) []byte {
			return bytes.Repeat([]byte("*"), len(word))
		})
		return nil
	})
}

package cookbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/chatroom"
)

// Greet says hello to whoever joins, and to nobody else.
func Greet() chatroom.ServerOption {
	return chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
		_ = m.Send(ctx, "host", []byte("welcome, "+m.Name)) // fails only if m has left, or the server ends
	})
}

// Reserve keeps members from calling themselves what the program is called.
func Reserve(own string) chatroom.ServerOption {
	return chatroom.WithNameRule(func(name string) error {
		if strings.EqualFold(name, own) {
			return errors.New("that is the program's name")
		}
		return chatroom.CheckName(name)
	})
}

// Notices tells each room who has come and gone, once in a while: one message for all
// who came and went since the last.
func Notices(every time.Duration) []chatroom.ServerOption {
	var mu sync.Mutex
	news := make(map[chatroom.Room][]string) // not told yet
	tell := func(r chatroom.Room) {
		mu.Lock()
		lines := news[r]
		delete(news, r)
		mu.Unlock()
		if more := len(lines) - 10; more > 0 {
			lines = append(lines[:10], fmt.Sprintf("and %d more", more))
		}
		ctx, cancel := context.WithTimeout(context.Background(), every)
		defer cancel()
		_ = r.Broadcast(ctx, "host", []byte(strings.Join(lines, ", "))) // lost in a flood
	}
	add := func(r chatroom.Room, line string) {
		mu.Lock()
		defer mu.Unlock()
		if news[r] == nil {
			time.AfterFunc(every, func() { tell(r) })
		}
		news[r] = append(news[r], line)
	}
	return []chatroom.ServerOption{
		chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { add(m.Room(), m.Name+" is here") }),
		chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) { add(m.Room(), m.Name+" has left") }),
	}
}

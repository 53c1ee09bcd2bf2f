package cookbook

import (
	"context"
	"errors"
	"strings"
	"sync"

	"example.com/chatroom"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Nicks lets members change their names: "/nick bob". Nobody gets a name that somebody
// has. The rule is the server's name rule.
func Nicks(rule func(name string) error) []chatroom.ServerOption {
	var mu sync.Mutex
	holder := make(map[string]uint64) // the member's ID, by its name
	names := make(map[uint64]string)  // the other way round
	take := func(m chatroom.Member, name string) bool {
		mu.Lock()
		defer mu.Unlock()
		if id, taken := holder[name]; taken && id != m.ID {
			return false
		}
		delete(holder, names[m.ID])
		holder[name], names[m.ID] = m.ID, name
		return true
	}
	current := func(m chatroom.Member) string {
		mu.Lock()
		defer mu.Unlock()
		return names[m.ID]
	}
	return []chatroom.ServerOption{
		chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
			if !take(m, m.Name) {
				m.Kick(chatroom.ErrNameTaken)
			}
		}),
		chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
			msg.From = current(m)
			name, found := strings.CutPrefix(string(msg.Body), "/nick ")
			if !found {
				return nil
			}
			answer := "you are " + name
			if err := rule(name); err != nil {
				answer = err.Error()
			} else if !take(m, name) {
				answer = name + " is taken"
			}
			_ = m.Send(ctx, "host", []byte(answer)) // fails only if m has left, or the server ends
			return chatroom.ErrDrop
		}),
		chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, _ error) {
			mu.Lock()
			defer mu.Unlock()
			if name, ok := names[m.ID]; ok { // not for who was kicked by the join hook
				delete(holder, name)
				delete(names, m.ID)
			}
		}),
	}
}

// FoldNames takes names for the same that differ in case only, or in how their letters
// are encoded. The messages show each name as its owner wrote it.
func FoldNames() []chatroom.ServerOption {
	return []chatroom.ServerOption{
		chatroom.WithUniqueNames(),
		chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			if err := chatroom.CheckName(j.Name); err != nil {
				return err // the name rule sees the folded name only
			}
			j.Value = j.Name
			j.Name = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(j.Name)))
			return nil
		}),
		chatroom.WithOnMessage(func(_ context.Context, m chatroom.Member, msg *chatroom.Message) error {
			msg.From = m.Value.(string)
			return nil
		}),
	}
}

// Takeover gives a name to whoever joined with it last.
func Takeover() []chatroom.ServerOption {
	return []chatroom.ServerOption{
		chatroom.WithUniqueNames(),
		chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
			for _, m := range j.Server.Room(j.Room).Members() {
				if m.Name == j.Name {
					_ = m.Send(ctx, "host", []byte("you have joined from elsewhere")) // m has left if it fails
					m.Kick(errors.New("taken over"))
				}
			}
			return nil
		}),
	}
}

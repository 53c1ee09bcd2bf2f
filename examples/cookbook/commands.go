package cookbook

import (
	"context"
	"errors"
	"strings"

	"example.com/chatroom"
)

// Commands answers "/who", "/msg NAME TEXT" and, to admins, "/kick NAME". What begins
// with a slash is never published, so that a slip of the finger tells no secret.
func Commands(isAdmin func(m chatroom.Member) bool) chatroom.ServerOption {
	return chatroom.WithOnMessage(func(ctx context.Context, m chatroom.Member, msg *chatroom.Message) error {
		if len(msg.Body) == 0 || msg.Body[0] != '/' {
			return nil
		}
		verb, rest, _ := strings.Cut(string(msg.Body), " ")
		to, text, found := addressee(m.Room(), rest)
		answer := "there is no " + verb + " for you"
		switch {
		case verb == "/who":
			var names []string
			for _, other := range m.Room().Members() {
				names = append(names, other.Name)
			}
			answer = strings.Join(names, ", ")
		case verb == "/msg" && found && to.Send(ctx, m.Name+" (to you)", []byte(text)) == nil:
			answer = "told " + to.Name
		case verb == "/msg":
			answer = "nobody of that name is here"
		case verb == "/kick" && isAdmin(m) && found:
			to.Kick(errors.New("kicked by " + m.Name))
			answer = "kicked " + to.Name
		}
		_ = m.Send(ctx, "host", []byte(answer)) // fails only if m has left, or the server ends
		return chatroom.ErrDrop
	})
}

// addressee finds whom a line is for that begins with a name, and what is left of the
// line. Names may have spaces, so the longest that fits counts.
func addressee(r chatroom.Room, line string) (to chatroom.Member, text string, found bool) {
	for _, m := range r.Members() {
		rest, fits := strings.CutPrefix(line+" ", m.Name+" ")
		if fits && len(m.Name) >= len(to.Name) {
			to, text, found = m, strings.TrimSuffix(rest, " "), true
		}
	}
	return to, text, found
}

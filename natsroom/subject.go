package natsroom

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// maxName is how many bytes the name of an order may have.
	maxName = 64

	// maxRoomName is how many bytes a room's name may have. Escaped it is three times as
	// long at most, and an engine takes subjects of nearly 4 KiB.
	maxRoomName = 1024
)

// subjects are what the servers of one order publish to. All but the last two are in the
// stream.
type subjects struct {
	stream string // the stream's name
	room   string // what precedes a room's token: messages to that room
	rooms  string // messages to several rooms, or to all
	beat   string
	who    string // asks all servers for their members
	pace   string // beats again, for who reads the stream late
}

func newSubjects(name string) (subjects, error) {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !isPlain(r) }) {
		return subjects{}, fmt.Errorf("natsroom: name %q: want 1 to %d letters, digits, - and _", name, maxName)
	}
	prefix := "chatroom." + name + "."
	return subjects{
		stream: "chatroom-" + name,
		room:   prefix + "room.",
		rooms:  prefix + "rooms",
		beat:   prefix + "beat",
		who:    prefix + "who",
		pace:   prefix + "pace",
	}, nil
}

// inStream returns the subjects that the stream stores.
func (s subjects) inStream() []string { return []string{s.room + "*", s.rooms, s.beat} }

// isPlain reports whether r stands for itself in names and tokens.
func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// escapeRoom returns a room's name as a token of a subject. Bytes that do not stand for
// themselves become = and two hexadecimal digits, and the empty name becomes = alone.
func escapeRoom(room string) string {
	if room == "" {
		return "="
	}
	var b strings.Builder
	for i := range len(room) {
		if isPlain(rune(room[i])) {
			b.WriteByte(room[i])
		} else {
			fmt.Fprintf(&b, "=%02x", room[i])
		}
	}
	return b.String()
}

// unescapeRoom undoes escapeRoom. Each name has one token only: another one is an error.
func unescapeRoom(token string) (string, error) {
	if token == "=" {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", errBadToken
		}
		c, err := hex.DecodeString(token[i+1 : i+3])
		if err != nil {
			return "", errBadToken
		}
		b.Write(c)
		i += 2
	}
	if b.Len() == 0 || escapeRoom(b.String()) != token {
		return "", errBadToken
	}
	return b.String(), nil
}

var errBadToken = errors.New("natsroom: not a room's token")

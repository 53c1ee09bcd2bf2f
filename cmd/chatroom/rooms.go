package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/chatroom"
)

// A client of a server with rooms chooses its room by its name, since the
// protocol has no other place for it: name@room.

// nameInRoom returns the name with which a client asks for a room.
func nameInRoom(name, room string) string { return name + "@" + room }

// splitName returns the name and the room that a client has asked for. The room
// is what stands after the last '@', or "" if there is none.
func splitName(s string) (name, room string) {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// checkRoom checks the name of a room as chatroom.CheckName does that of a
// member, but the empty one, too, is a room's.
func checkRoom(room string) error {
	switch {
	case room == "":
		return nil
	case strings.Contains(room, "@"):
		return errors.New("a room's name has no @")
	}
	return chatroom.CheckName(room)
}

// admitToRoom is an admit hook. It lets a client choose its room. That of a browser may
// have been chosen by its path.
func admitToRoom(_ context.Context, j *chatroom.Join) error {
	if strings.Contains(j.Name, "@") {
		j.Name, j.Room = splitName(j.Name)
	}
	if err := checkRoom(j.Room); err != nil {
		return fmt.Errorf("%w: room %q: %w", chatroom.ErrNameRejected, j.Room, err)
	}
	return nil
}

// A roomFlag is the flag that says which room to join.
type roomFlag struct {
	name  string
	given bool
}

func (f *roomFlag) set(s string) error {
	f.name, f.given = s, true
	return checkRoom(s)
}

// ask returns the name with which to join as name.
func (f *roomFlag) ask(name string) string {
	if !f.given {
		return name
	}
	return nameInRoom(name, f.name)
}

package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// TestPresence has the host told who comes and goes, and nobody else.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newWatched(t)
		opts := (&presence{w: told}).options()
		s := chatroomtest.NewServer(t, append(opts, chatroom.WithAdmit(admitToRoom), chatroom.WithNameRule(func(string) error { return nil }))...)
		host := s.Join("host")
		bob := s.Join("bob\x1b[2J")
		ann := s.Join("ann@work")
		kicked := s.Join("k")
		bob.Close()
		ann.Cut()
		s.WaitLeave("ann")
		kicked.Member.Kick(nil)
		synctest.Wait()
		assert.Equal(t, []string{
			`bob\x1b[2J has joined`, "ann has joined (room work)", "k has joined",
			`bob\x1b[2J has left`, "ann is gone (room work): ", "k is gone: kicked", "",
		}, cutEnds(told.String(), "ann is gone (room work): "))
		host.WantNothing()
		kicked.WantClosed()
		require.NoError(t, s.Shutdown(t.Context()))
		assert.NotContains(t, told.String(), "host")
	})
}

// cutEnds returns the lines of s, of which one that begins with prefix ends
// there.
func cutEnds(s, prefix string) []string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, prefix) {
			lines[i] = prefix
		}
	}
	return lines
}

package main

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// TestPresence has the host told who comes and goes, before they say anything,
// and nobody else.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		any := chatroom.WithNameRule(func(string) error { return nil })
		s := chatroomtest.NewServer(t, append(new(presence).options(), any, chatroom.WithAdmit(admitToRoom))...)
		host := s.Join("host")
		bob := s.Join("bob\x1b[2J")
		bob.Send("hello")
		host.Want(noticeFrom, `bob\x1b[2J has joined`)
		host.Want("bob\x1b[2J", "hello")
		ann := s.Join("ann@work")
		host.Want(noticeFrom, "ann has joined (room work)")
		bob.Close()
		host.Want(noticeFrom, `bob\x1b[2J has left`)
		ann.Member.Kick(nil)
		host.Want(noticeFrom, "ann is gone (room work): kicked")
		ann.WantClosed()
		s.Join("c").WantNothing()
		host.Want(noticeFrom, "c has joined")
		require.NoError(t, s.Shutdown(t.Context()))
		host.WantClosed()
	})
}

// Only the server of the program's own room gives notices.
func TestPresenceOfOthers(t *testing.T) {
	m := chatroom.Message{From: noticeFrom, Body: []byte("bob has left")}
	s, terminal := newScreenOn(&testTerminal{width: 40, joins: true})
	s.showMessage(m)
	s.link = new(link)
	s.showMessage(m)
	assert.Equal(t, []string{"* bob has left", `\x00 > bob has left`, "ann >"}, terminal.text())
}

package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// newFlagServer returns a server in memory as the flags of "chatroom serve" make
// it.
func newFlagServer(t testing.TB, args ...string) *chatroomtest.Server {
	t.Helper()
	fs := newFlags("serve")
	var f roomFlags
	f.register(fs)
	require.NoError(t, fs.Parse(args))
	require.NoError(t, f.check())
	return chatroomtest.NewServer(t, f.options()...)
}

func TestServeRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlagServer(t, "-rooms")
		none, alsoNone := s.Join("a"), s.Join("b@")
		work, alsoWork := s.Join("a@work"), s.Join("b@c@work")
		alsoNone.Send("lost?")
		none.Want("b", "lost?")
		alsoWork.Send("at work")
		work.Want("b@c", "at work")
		none.WantNothing()
		assert.Len(t, s.Room("work").Members(), 2)
		for _, bad := range []string{"@work", "a@\u202e", "a@ work"} {
			assert.ErrorIs(t, s.Refusal(bad), chatroom.ErrNameRejected, bad)
		}
	})
}

// Without -rooms, '@' is a character like others.
func TestServeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlagServer(t)
		a, b := s.Join("a"), s.Join("b@work")
		b.Send("hello")
		a.Want("b@work", "hello")
	})
}

func TestServeHistoryAndGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlagServer(t, "-history", "2", "-greeting", "be kind")
		a := s.Join("a")
		a.Want(hostName, "be kind")
		for _, text := range []string{"one", "two", "three"} {
			a.Send(text)
		}
		synctest.Wait()
		b := s.Join("b")
		b.Want("a", "two")
		b.Want("a", "three")
		b.Want(hostName, "be kind")
		a.WantNothing()
	})
}

func TestServeUniqueAndMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlagServer(t, "-unique", "-max", "2", "-rooms")
		s.Join("a")
		assert.ErrorIs(t, s.Refusal("a"), chatroom.ErrNameTaken)
		s.Join("b")
		assert.ErrorIs(t, s.Refusal("c"), chatroom.ErrRoomFull)
		s.Join("a@work")
	})
}

// TestServeRate has a member send faster than it may, which is slowed down and
// loses nothing, and delays nobody else.
func TestServeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlagServer(t, "-rate", "2,3")
		a, b, c := s.Join("a"), s.Join("b"), s.Join("c")
		began := time.Now()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for _, text := range strings.Split("1 2 3 4 5 6", " ") {
				assert.NoError(t, b.Conn.Send(t.Context(), []byte(text)))
			}
		}()
		for _, text := range []string{"1", "2", "3"} {
			a.Want("b", text)
		}
		c.Send("hello")
		a.Want("c", "hello")
		assert.Zero(t, time.Since(began))
		for _, text := range []string{"4", "5", "6"} {
			a.Want("b", text)
		}
		assert.Equal(t, 1500*time.Millisecond, time.Since(began))
		<-sent
	})
}

// A member that has to wait does not keep the server from its end.
func TestServeRateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlagServer(t, "-rate", "0.001,1")
		b := s.Join("b")
		b.Send("one")
		b.Send("two")
		synctest.Wait()
		began := time.Now()
		require.NoError(t, s.Shutdown(t.Context()))
		assert.Zero(t, time.Since(began))
	})
}

func TestRateFlag(t *testing.T) {
	for in, want := range map[string]rateLimit{
		"5": {5, 10}, "0.2": {0.2, 1}, "5,20": {5, 20}, "1.5,1": {1.5, 1},
	} {
		var l rateLimit
		require.NoError(t, l.set(in))
		assert.Equal(t, want, l, in)
	}
	for _, bad := range []string{"", "0", "-1", "x", "NaN", "Inf", "1e300", "5,", "5,0", "5,x", ",5"} {
		assert.Error(t, new(rateLimit).set(bad), bad)
	}
}

package chatroom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

func TestAdmit(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		no := errors.New("members only")
		s := tr.newServer(t, chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
			_, ok := ctx.Deadline()
			assert.True(t, ok)
			if j.Name == "mallory" {
				_, err := j.Conn.Write(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("host")), []byte("members only")))
				assert.NoError(t, err)
				return no
			}
			j.Name, j.Value = strings.ToLower(j.Name), 7
			return nil
		}), chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			if j.Name == "bad" {
				j.Name = "bad\n"
			}
			return nil
		}))
		raw := s.DialRaw()
		raw.SendFrame("mallory")
		raw.Want("host", "members only")
		raw.WantClosed()
		require.ErrorIs(t, s.Refusal("bad"), chatroom.ErrNameRejected)
		alice := s.DialRaw()
		alice.SendFrame("ALICE")
		s.WantMembers("alice")
		assert.Equal(t, 7, s.Members()[0].Value)
		require.NoError(t, s.Broadcast(t.Context(), "host", []byte("hi")))
		alice.Want("host", "hi")
	})
}

// An admit hook may take as long as the handshake, and a panic lets nobody in.
func TestAdmitTimeoutAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithHandshakeTimeout(time.Minute), chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
			if j.Name == "slow" {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			panic("boo")
		}))
		start := time.Now()
		require.ErrorIs(t, s.Refusal("slow"), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		require.ErrorIs(t, s.Refusal("other"), chatroom.ErrHookFailed)
		assert.Equal(t, chatroom.Refusals{Hook: 2}, s.Stats().Refusals)
	})
}

// An admit hook that writes to a peer that does not read has as long as the handshake.
func TestAdmitThatWritesToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t, chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
			if _, err := j.Conn.Write(chatroom.AppendFrame(nil, []byte("host"))); err != nil {
				return err
			}
			return errors.New("not today")
		}))
		require.ErrorContains(t, s.Refusal("alice"), "not today")
		near, far := net.Pipe()
		defer near.Close()
		start := time.Now()
		go func() { _, _ = near.Write(chatroom.AppendFrame(nil, []byte("deaf"))) }()
		require.ErrorIs(t, s.ServeConn(t.Context(), far), os.ErrDeadlineExceeded)
		assert.Equal(t, chatroom.DefaultHandshakeTimeout, time.Since(start))
	})
}

// A hook knows its server, and the values of ServeConn's context.
func TestWhatHooksKnow(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var values []any
		note := func(ctx context.Context) { values = append(values, ctx.Value(key{})) }
		var servers []*chatroom.Server
		s := chatroomtest.NewServer(t,
			chatroom.WithAdmit(func(ctx context.Context, j *chatroom.Join) error {
				note(ctx)
				servers = append(servers, j.Server)
				return nil
			}),
			chatroom.WithOnJoin(func(ctx context.Context, m chatroom.Member) {
				note(ctx)
				servers = append(servers, m.Room().Server())
			}),
			chatroom.WithOnMessage(func(ctx context.Context, _ chatroom.Member, _ *chatroom.Message) error {
				note(ctx)
				return nil
			}),
			chatroom.WithOnLeave(func(ctx context.Context, _ chatroom.Member, _ error) {
				note(ctx)
				require.NoError(t, ctx.Err(), "it has the values only")
			}))
		near, far := net.Pipe()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "a user"))
		served := make(chan error, 1)
		go func() { served <- s.ServeConn(ctx, far) }()
		_, err := near.Write(chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte("alice")), []byte("hello")))
		require.NoError(t, err)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
		assert.Equal(t, []any{"a user", "a user", "a user", "a user"}, values)
		assert.Equal(t, []*chatroom.Server{s.Server, s.Server}, servers)
		assert.Nil(t, chatroom.Room{}.Server())
	})
}

// What was sent as a name may hold a secret, which an admit hook cuts off.
func TestSecretIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := chatroomtest.NewServer(t,
			chatroom.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
			chatroom.WithAdmit(func(_ context.Context, j *chatroom.Join) error {
				if j.Name, _, _ = strings.Cut(j.Name, ":"); j.Name == "eve" {
					panic("boo")
				}
				return nil
			}))
		for _, name := range []string{"eve:s3cret", " :s3cret"} {
			require.Error(t, s.Refusal(name))
		}
		raw := s.DialRaw()
		raw.SendFrame("alice:s3cret")
		s.WantMembers("alice")
		raw.Cut()
		require.Error(t, s.WaitLeave("alice"))
		assert.Contains(t, log.String(), "boo")
		assert.NotContains(t, log.String(), "s3cret")
	})
}

package chatroom_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A logKeys is a handler that keeps which attributes each kind of record has had.
type logKeys struct {
	mu   sync.Mutex
	keys map[string]map[string]bool // by level and message
}

func (*logKeys) Enabled(context.Context, slog.Level) bool { return true }
func (h *logKeys) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h *logKeys) WithGroup(string) slog.Handler          { return h }

func (h *logKeys) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	event := r.Level.String() + " " + r.Message
	if h.keys[event] == nil {
		h.keys[event] = make(map[string]bool)
	}
	r.Attrs(func(a slog.Attr) bool {
		h.keys[event][a.Key] = true
		return true
	})
	return nil
}

// documentedLog returns the attributes of each kind of record that the manual has.
func documentedLog(t *testing.T) map[string][]string {
	t.Helper()
	manual, err := os.ReadFile("docs/observing.md")
	require.NoError(t, err)
	documented := make(map[string][]string)
	for _, row := range regexp.MustCompile("(?m)^\\| (\\w+) \\| `([^`]+)` \\| (`[^|]+`) \\|").FindAllStringSubmatch(string(manual), -1) {
		documented[strings.ToUpper(row[1])+" "+row[2]] = strings.Split(strings.Trim(row[3], "`"), "`, `")
	}
	require.NotEmpty(t, documented)
	return documented
}

// The server logs what the manual says, and nothing else.
func TestLogIsAsDocumented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logKeys{keys: make(map[string]map[string]bool)}
		l := &flakyListener{Listener: chatroomtest.NewListener(), failures: 1}
		s := newBareServer(t, l,
			chatroom.WithLogger(slog.New(log)),
			chatroom.WithOrder(&fakeOrder{settle: func(context.Context) error { return chatroom.ErrUnavailable }}),
			chatroom.WithMaxConns(6),
			chatroom.WithWriteTimeout(time.Second),
			chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) {
				if m.Name == "panic" {
					panic("boo")
				}
			}))
		join := func(name string) *chatroom.Conn {
			c, err := chatroom.Dial(t.Context(), "", "", name, chatroom.WithDialer(l.DialContext))
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			synctest.Wait()
			return c
		}
		alice := join("alice")
		join("takes nothing")
		join("panic")
		for range 3 {
			join(" ")
		}
		require.NoError(t, alice.Send(t.Context(), []byte("hello")))
		time.Sleep(time.Second)
		synctest.Wait()
		join(" ") // a second later, so that it is logged
		require.NoError(t, alice.Close())
		require.NoError(t, s.Deliver(t.Context(), false, chatroom.Batch{}))
		synctest.Wait()

		require.NoError(t, s.Shutdown(t.Context()))
		got := make(map[string][]string)
		for event, keys := range log.keys {
			got[event] = slices.Collect(maps.Keys(keys))
		}
		want := documentedLog(t)
		assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
		for event, keys := range want {
			assert.ElementsMatch(t, keys, got[event], event)
		}
	})
}

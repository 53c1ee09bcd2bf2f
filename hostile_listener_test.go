package chatroom_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// A shyConn does not know its peer's address for long, as behind a proxy that is
// slow to tell it.
type shyConn struct {
	net.Conn
	told *sync.Once
}

func (c shyConn) RemoteAddr() net.Addr {
	c.told.Do(func() { time.Sleep(time.Hour) })
	return c.Conn.RemoteAddr()
}

// A shyListener accepts the first of its connections as shyConns.
type shyListener struct {
	*chatroomtest.Listener
	shy int
}

func (l *shyListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if l.shy--; err == nil && l.shy >= 0 {
		nc = shyConn{nc, new(sync.Once)}
	}
	return nc, err
}

// A connection that is slow to tell its address keeps nobody else from joining.
func TestRemoteAddrThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shyListener{chatroomtest.NewListener(), 5}
		s := newBareServer(t, l, chatroom.WithHandshakeTimeout(-1))
		for range 6 {
			nc, err := l.DialContext(t.Context(), "", "")
			require.NoError(t, err)
			go func() { _, _ = nc.Write(chatroom.AppendFrame(nil, []byte("alice"))) }()
			t.Cleanup(func() { _ = nc.Close() })
		}
		synctest.Wait()
		assert.Equal(t, 1, s.Stats().Members)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 6, s.Stats().Members)
	})
}

// A stuckListener does not return from Close until it is let go.
type stuckListener struct {
	*chatroomtest.Listener
	letGo chan struct{}
}

func (l *stuckListener) Close() error {
	<-l.letGo
	return l.Listener.Close()
}

// A listener whose Close waits does not keep Shutdown longer than its context
// allows.
func TestListenerCloseThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &stuckListener{chatroomtest.NewListener(), make(chan struct{})}
		s := chatroom.NewServer()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.Equal(t, context.DeadlineExceeded, s.Shutdown(ctx))
		assert.Equal(t, time.Minute, time.Since(start))
		close(l.letGo)
		require.NoError(t, s.Shutdown(t.Context()))
		require.Equal(t, chatroom.ErrServerClosed, <-served)
	})
}

// An emptyConn reads its name, and then nothing without an error for ever.
type emptyConn struct {
	net.Conn
	name []byte
}

func (c *emptyConn) Read(p []byte) (int, error) {
	n := copy(p, c.name)
	c.name = c.name[n:]
	return n, nil
}

// A connection whose reads bring nothing, and no error, does not keep a processor
// busy for ever.
func TestReadsThatBringNothing(t *testing.T) {
	for _, name := range [][]byte{nil, chatroom.AppendFrame(nil, []byte("alice"))} {
		near, far := net.Pipe()
		s := chatroom.NewServer()
		require.ErrorIs(t, s.ServeConn(t.Context(), &emptyConn{far, name}), io.ErrNoProgress)
		require.NoError(t, near.Close())
	}
}

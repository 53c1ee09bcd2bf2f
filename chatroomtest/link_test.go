package chatroomtest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/chatroom"
	"example.com/chatroom/chatroomtest"
)

// overLink runs test in a bubble with a link of the default size.
func overLink(t *testing.T, test func(t *testing.T, a, b *chatroomtest.Link)) {
	synctest.Test(t, func(t *testing.T) {
		a, b := chatroomtest.NewLink(0)
		defer b.Close()
		defer a.Close()
		require.Same(t, b, a.Peer())
		require.Same(t, a, b.Peer())
		test(t, a, b)
	})
}

// wantRead fails the test unless this is read, after so long.
func wantRead(t *testing.T, nc net.Conn, want string, after time.Duration) {
	t.Helper()
	start := time.Now()
	got := make([]byte, len(want))
	n, err := io.ReadFull(nc, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got[:n]))
	require.Equal(t, after, time.Since(start))
}

func TestLinkSizes(t *testing.T) {
	for size, holds := range map[int]int{0: 64 << 10, 5: 5, -1: 10 << 20} {
		synctest.Test(t, func(t *testing.T) {
			a, b := chatroomtest.NewLink(size)
			defer b.Close()
			defer a.Close()
			_, err := a.Write(make([]byte, holds))
			require.NoError(t, err)
			if size >= 0 {
				require.NoError(t, a.SetWriteDeadline(time.Now().Add(time.Second)))
				n, err := a.Write([]byte("x"))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Zero(t, n)
			}
		})
	}
}

func TestLinkLatency(t *testing.T) {
	overLink(t, func(t *testing.T, a, b *chatroomtest.Link) {
		a.SetLatency(time.Second)
		for _, text := range []string{"one ", "two "} {
			_, err := a.Write([]byte(text))
			require.NoError(t, err)
			time.Sleep(300 * time.Millisecond)
		}
		wantRead(t, b, "one ", 400*time.Millisecond)
		wantRead(t, b, "two ", 300*time.Millisecond)
		_, err := a.Write([]byte("the last"))
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, a.Close())
		wantRead(t, b, "the last", 900*time.Millisecond)
		start := time.Now()
		_, err = b.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.Equal(t, 100*time.Millisecond, time.Since(start), "the end takes as long")
	})
}

func TestLinkRate(t *testing.T) {
	overLink(t, func(t *testing.T, a, b *chatroomtest.Link) {
		a.SetRate(100)
		start := time.Now()
		_, err := a.Write([]byte(strings.Repeat("x", 1000)))
		require.NoError(t, err)
		require.Zero(t, time.Since(start), "the link holds it")
		wantRead(t, b, "x", 10*time.Millisecond)
		wantRead(t, b, strings.Repeat("x", 998), 9980*time.Millisecond)
		_, err = a.Write([]byte("y"))
		require.NoError(t, err)
		wantRead(t, b, "xy", 20*time.Millisecond)

		a.SetRate(0)
		_, err = a.Write([]byte("zzz"))
		require.NoError(t, err)
		wantRead(t, b, "zzz", 0)

		a.SetRate(3_000_000)
		_, err = a.Write(make([]byte, 60_000))
		require.NoError(t, err)
		n, err := b.Read(make([]byte, 60_000))
		require.NoError(t, err)
		require.Equal(t, 30_000, n, "a hundredth of a second's worth")
		wantRead(t, b, string(make([]byte, 30_000)), 10*time.Millisecond)
	})
}

func TestLinkSlice(t *testing.T) {
	overLink(t, func(t *testing.T, a, b *chatroomtest.Link) {
		a.SetSlice(3)
		_, err := a.Write([]byte("12345678"))
		require.NoError(t, err)
		buf := make([]byte, 10)
		for _, want := range []int{3, 3, 2} {
			n, err := b.Read(buf)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
	})
}

func TestLinkCutAfter(t *testing.T) {
	for cut := range 8 {
		overLink(t, func(t *testing.T, a, b *chatroomtest.Link) {
			_, err := a.Write([]byte("before "))
			require.NoError(t, err)
			a.CutAfter(int64(cut))
			n, err := a.Write([]byte("123456"))
			if cut <= 6 {
				require.Equal(t, cut, n)
				if cut < 6 {
					require.ErrorIs(t, err, syscall.ECONNRESET)
				}
				_, err = a.Read(make([]byte, 1))
				require.ErrorIs(t, err, syscall.ECONNRESET)
				_, err = b.Write([]byte("x"))
				require.ErrorIs(t, err, syscall.EPIPE)
				all, err := io.ReadAll(b)
				require.NoError(t, err)
				require.Equal(t, "before 123456"[:7+cut], string(all))
			} else {
				require.NoError(t, err)
				wantRead(t, b, "before 123456", 0)
			}
			require.NoError(t, a.Close(), "nobody has closed it")
		})
	}
}

func TestLinkStalls(t *testing.T) {
	overLink(t, func(t *testing.T, a, b *chatroomtest.Link) {
		b.StallReads()
		a.StallWrites()
		done := writing(a, []byte("hello"))
		synctest.Wait()
		require.Empty(t, done)
		a.ResumeWrites()
		require.Equal(t, written{5, nil}, <-done)

		require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Second)))
		_, err := b.Read(make([]byte, 5))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, b.SetReadDeadline(time.Time{}))
		time.AfterFunc(time.Hour, b.ResumeReads)
		wantRead(t, b, "hello", time.Hour)

		a.StallWrites()
		done = writing(a, []byte("hello"))
		b.StallReads()
		all := reading(b)
		synctest.Wait()
		require.NoError(t, a.Close())
		require.ErrorIs(t, (<-done).err, net.ErrClosed)
		synctest.Wait()
		require.Empty(t, all, "the end is not noticed")
		b.ResumeReads()
		require.Empty(t, <-all)
	})
}

func TestLinkCloseWrite(t *testing.T) {
	overLink(t, func(t *testing.T, a, b *chatroomtest.Link) {
		all := reading(b)
		_, err := a.Write([]byte("goodbye"))
		require.NoError(t, err)
		require.NoError(t, a.CloseWrite())
		require.NoError(t, a.CloseWrite())
		require.Equal(t, "goodbye", string(<-all))
		_, err = a.Write([]byte("again"))
		require.ErrorIs(t, err, syscall.EPIPE)

		answer := reading(a)
		_, err = b.Write([]byte("farewell"))
		require.NoError(t, err)
		require.NoError(t, b.Close())
		require.Equal(t, "farewell", string(<-answer))
		require.ErrorIs(t, b.CloseWrite(), net.ErrClosed)
	})
}

// A member that stops reading is a slow consumer, whichever end stalls, and nobody
// else notices.
func TestStalledMemberIsEvicted(t *testing.T) {
	const timeout = 10 * time.Second
	for name, stall := range map[string]func(*chatroomtest.Link){
		"client": (*chatroomtest.Link).StallReads,
		"server": func(l *chatroomtest.Link) { l.Peer().StallWrites() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := chatroomtest.NewServer(t, chatroom.WithWriteTimeout(timeout))
				link := s.DialLink(64)
				alice, bob, carol := s.JoinConn(link, "alice"), s.Join("bob"), s.Join("carol")
				bob.Send("before")
				alice.Want("bob", "before")
				carol.Want("bob", "before")
				stall(link)
				start := time.Now()
				for i := range 20 {
					bob.Send(fmt.Sprint("more of it ", i))
					carol.Want("bob", fmt.Sprint("more of it ", i))
					require.Zero(t, time.Since(start), "nobody waits for alice")
				}
				require.ErrorIs(t, s.WaitLeave("alice"), chatroom.ErrSlowConsumer)
				// What the link took of a write counts when the write's deadline comes.
				require.GreaterOrEqual(t, time.Since(start), timeout)
				require.LessOrEqual(t, time.Since(start), 2*timeout)
				require.EqualValues(t, 1, s.Stats().Leaves.SlowConsumer)
				s.WantMembers("bob", "carol")
			})
		})
	}
}

// A room reaches a member on a slow and long line at the pace of the line, and the
// others at once.
func TestRoomWithASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatroomtest.NewServer(t)
		link := s.DialLink(0)
		link.Peer().SetRate(100)
		link.Peer().SetLatency(time.Second)
		link.Peer().SetSlice(1)
		alice, bob, carol := s.JoinConn(link, "alice"), s.Join("bob"), s.Join("carol")
		start := time.Now()
		body := strings.Repeat("x", 77) // a hundred bytes with its header and the name
		for range 3 {
			bob.Send(body)
			carol.Want("bob", body)
			require.Zero(t, time.Since(start))
		}
		for i := range 3 {
			alice.Want("bob", body)
			require.Equal(t, time.Duration(i+2)*time.Second, time.Since(start))
		}
		alice.Send("goodbye")
		alice.Close()
		bob.Want("alice", "goodbye")
		require.NoError(t, s.WaitLeave("alice"))
	})
}

// A client's connection is cut at every byte of a join and two messages.
func TestRoomAfterACutAtEveryByteOfAClient(t *testing.T) {
	frames := []string{"alice", "one", "message two"}
	ends := []int64{0} // of the frames, and so where a goodbye is clean
	for _, f := range frames {
		ends = append(ends, ends[len(ends)-1]+int64(len(chatroom.AppendFrame(nil, []byte(f)))))
	}
	for cut := range ends[3] + 1 {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t)
			bob := s.Join("bob")
			link := s.DialLink(0)
			link.SetSlice(int(cut % 3)) // also not at all
			link.CutAfter(cut)
			for _, f := range frames {
				_, _ = link.Write(chatroom.AppendFrame(nil, []byte(f)))
			}
			for i, f := range frames[1:] {
				if cut >= ends[i+2] {
					bob.Want("alice", f)
				}
			}
			bob.WantNothing() // and all has settled
			s.WantMembers("bob")
			require.Equal(t, 1, s.Stats().Connections)
			if cut < ends[1] {
				require.EqualValues(t, 1, s.Stats().Refusals.Total())
				return
			}
			if reason := s.WaitLeave("alice"); cut == ends[1] || cut == ends[2] || cut == ends[3] {
				require.NoError(t, reason, "cut after %d", cut)
			} else {
				require.ErrorIs(t, reason, io.ErrUnexpectedEOF, "cut after %d", cut)
			}
		})
	}
}

// The server's end is cut at every byte of two messages to one member.
func TestRoomAfterACutAtEveryByteOfTheServer(t *testing.T) {
	messages := []string{"one", "message two"}
	ends := []int64{0}
	for _, m := range messages {
		ends = append(ends, ends[len(ends)-1]+int64(10+len("bob")+10+len(m)))
	}
	for cut := range ends[2] {
		synctest.Test(t, func(t *testing.T) {
			s := chatroomtest.NewServer(t)
			bob, carol := s.Join("bob"), s.Join("carol")
			link := s.DialLink(0)
			alice := s.JoinConn(link, "alice")
			link.Peer().CutAfter(cut)
			for i, m := range messages {
				bob.Send(m)
				carol.Want("bob", m)
				if cut >= ends[i+1] {
					alice.Want("bob", m)
				}
			}
			_, err := alice.Receive()
			if cut == ends[0] || cut == ends[1] {
				require.Equal(t, io.EOF, err, "cut after %d", cut)
			} else {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut after %d", cut)
			}
			require.ErrorIs(t, s.WaitLeave("alice"), syscall.ECONNRESET, "cut after %d", cut)
			s.WantMembers("bob", "carol")
		})
	}
}

// Connections of the program's own listener are links with goodbyes.
func TestBufferedListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := chatroomtest.NewBufferedListener(4 << 10)
		s := chatroomtest.NewServerOn(t, l, l.DialContext)
		bob, raw := s.Join("bob"), s.DialRaw()
		raw.SendFrame("raw")
		raw.SendFrame("hello")
		require.NoError(t, raw.Conn.(*chatroomtest.Link).CloseWrite())
		bob.Want("raw", "hello")
		require.NoError(t, s.WaitLeave("raw"))
		for i := range 10 {
			require.NoError(t, s.Broadcast(context.Background(), "host", fmt.Append(nil, i)))
		}
		s.WaitWritten() // it does not take a reader
		go func() { _ = s.Shutdown(t.Context()) }()
		for i := range 10 {
			bob.Want("host", fmt.Sprint(i))
		}
		bob.WantClosed()
		require.ErrorIs(t, s.WaitLeave("bob"), chatroom.ErrServerClosed)
	})
}

// TLS goes over links, however they are cut, and Reset goes through it.
func TestLinkBelowTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		require.NoError(t, err)
		config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		l := chatroomtest.NewBufferedListener(0)
		s := chatroomtest.NewServerOn(t, tls.NewListener(l, config), func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := l.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			link := nc.(*chatroomtest.Link)
			link.SetSlice(1)
			link.Peer().SetLatency(time.Second)
			return tls.Client(link, &tls.Config{InsecureSkipVerify: true}), nil
		})
		alice, bob := s.Join("alice"), s.Join("bob")
		alice.Send("hello")
		bob.Want("alice", "hello")
		alice.Cut()
		require.ErrorIs(t, s.WaitLeave("alice"), syscall.ECONNRESET)
		bob.Close()
		require.NoError(t, s.WaitLeave("bob"))
	})
}

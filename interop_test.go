package chatroom_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// The Python programs in testdata read as the lessons that made the protocol
// known do: one recv for a header, one for what it announces, and nothing kept
// of what is cut. They get away with it on a loopback connection, within limits
// that these tests keep to:
//
//   - What fits one TCP segment and is written at once, while nothing written
//     before is still unsent, arrives at once. A loopback segment holds 64 KiB
//     on Linux (half, while the window is small) and 16 KiB elsewhere.
//   - Of writes that wait to be sent, several may share a segment. As long as
//     all that is under way fits one, none is cut.
//
// So the long message is of 14 kB, and a burst is of less than 8 kB, after which
// everybody has to have printed everything before the next begins. What then
// arrives cut was written cut.

// interopTimeout is how long a test may hang before it is killed.
const interopTimeout = 30 * time.Second

func TestInteropConversation(t *testing.T) {
	t.Parallel()
	forEachInteropRoom(t, func(t *testing.T, room interopRoom) {
		members := []interopMember{
			newPythonMember(t, room, "Jürgen"),
			newPythonMember(t, room, "李雷"),
			newGoMember(t, room, "ada"),
			newGoMember(t, room, "Zoë 🦀"),
		}
		texts := []string{
			"hello",
			"",
			"  spaces kept  ",
			"naïve > 你好 🦀",
			strings.Repeat("long ", 2800),
		}
		for _, text := range texts {
			for _, speaker := range members {
				speaker.say(text)
				for _, m := range members {
					if m != speaker {
						from, got := m.hear()
						assert.Equal(t, speaker.name(), from, "what %s heard", m.name())
						assert.Equal(t, text, got, "what %s heard", m.name())
					}
				}
			}
		}
		room.hangUp()
		for _, m := range members {
			m.hearEnd() // and not a message of its own
		}
	})
}

func TestInteropBurst(t *testing.T) {
	t.Parallel()
	const (
		bursts   = 25
		messages = 40 // of each speaker's in a burst
	)
	forEachInteropRoom(t, func(t *testing.T, room interopRoom) {
		speakers := []interopMember{
			newGoMember(t, room, "ada"),
			newGoMember(t, room, "bob"),
			newPythonMember(t, room, "Jürgen"),
		}
		members := append([]interopMember{newPythonMember(t, room, "李雷")}, speakers...)
		text := func(i int) string { return fmt.Sprintf("message %5d of a burst", i) }
		for first := range bursts {
			first *= messages
			for _, speaker := range speakers {
				for i := range messages {
					speaker.say(text(first + i))
				}
			}
			for _, m := range members {
				next := map[string]int{}
				for _, speaker := range speakers {
					if speaker != m {
						next[speaker.name()] = first
					}
				}
				for range len(next) * messages {
					from, got := m.hear()
					require.Contains(t, next, from, "%s heard %q from them", m.name(), got)
					require.Equal(t, text(next[from]), got, "what %s heard from %s", m.name(), from)
					next[from]++
				}
			}
		}
		room.hangUp()
		for _, m := range members {
			m.hearEnd()
		}
	})
}

func TestInteropLeave(t *testing.T) {
	t.Parallel()
	type leaver struct {
		interopMember
		depart func()
	}
	for _, way := range []struct {
		name   string
		join   func(t *testing.T, room interopRoom, name string) leaver
		reason error
	}{
		{
			name: "python client ends",
			join: func(t *testing.T, room interopRoom, name string) leaver {
				m := newPythonMember(t, room, name)
				return leaver{m, m.leave}
			},
		},
		{
			name: "python client is killed",
			join: func(t *testing.T, room interopRoom, name string) leaver {
				if runtime.GOOS == "windows" {
					t.Skip("a killed process resets its connections on Windows")
				}
				m := newPythonMember(t, room, name)
				return leaver{m, m.kill}
			},
		},
		{
			name: "go client closes",
			join: func(t *testing.T, room interopRoom, name string) leaver {
				m := newGoMember(t, room, name)
				return leaver{m, m.leave}
			},
		},
		{
			name: "client sends garbage",
			join: func(t *testing.T, room interopRoom, name string) leaver {
				var nc net.Conn
				m := newGoMember(t, room, name, withConn(func(tcp *net.TCPConn) net.Conn {
					nc = tcp
					return tcp
				}))
				return leaver{m, func() {
					_, err := io.WriteString(nc, "not a chat")
					require.NoError(t, err)
				}}
			},
			reason: chatroom.ErrBadHeader,
		},
	} {
		t.Run(strings.ReplaceAll(way.name, " ", "-"), func(t *testing.T) {
			forEachInteropRoom(t, func(t *testing.T, room interopRoom) {
				stays := newPythonMember(t, room, "Jürgen")
				leaves := way.join(t, room, "李雷")
				staysToo := newGoMember(t, room, "ada")
				say := func(speaker interopMember, text string, listeners ...interopMember) {
					t.Helper()
					speaker.say(text)
					for _, m := range listeners {
						from, got := m.hear()
						assert.Equal(t, speaker.name(), from, "what %s heard", m.name())
						assert.Equal(t, text, got, "what %s heard", m.name())
					}
				}
				say(stays, "before", leaves, staysToo)
				leaves.depart()
				room.awaitLeave("李雷", way.reason)
				say(stays, "after", staysToo)
				say(staysToo, "so it is", stays)
				room.hangUp()
				stays.hearEnd()
				staysToo.hearEnd()
			})
		})
	}
}

// TestInteropCut has one client of ours for each place at which what a Python
// server sends can be cut, and one that gets it byte by byte.
func TestInteropCut(t *testing.T) {
	t.Parallel()
	const name, text = "Zoë", "naïve"
	pair := chatroom.AppendFrame(chatroom.AppendFrame(nil, []byte(name)), []byte(text))

	room := newPythonRoom(t)
	var members []*goMember
	join := func(name string, cut func(io.Reader) io.Reader) {
		members = append(members, newGoMember(t, room, name, withConn(func(tcp *net.TCPConn) net.Conn {
			return readerConn{tcp, cut(tcp)}
		})))
	}
	for at := 1; at < len(pair); at++ {
		join(fmt.Sprintf("cut at %d", at), func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, int64(at)), r)
		})
	}
	join("byte by byte", iotest.OneByteReader)

	zoë := newPythonMember(t, room, name)
	for _, want := range []string{text, "in step still"} {
		zoë.say(want)
		for _, m := range members {
			from, got := m.hear()
			assert.Equal(t, name, from, "what %q heard", m.name())
			assert.Equal(t, want, got, "what %q heard", m.name())
		}
	}
	room.hangUp()
	for _, m := range members {
		m.hearEnd()
	}
}

// TestInteropClientGivesUp shows that the Python client is as touchy as the
// tests above need it to be.
func TestInteropClientGivesUp(t *testing.T) {
	t.Parallel()
	const name, text = "Zoë", "naïve"
	nameFrame := chatroom.AppendFrame(nil, []byte(name))
	pair := chatroom.AppendFrame(nameFrame, []byte(text))
	for cut, at := range map[string]int{
		"in the name's header":    4,
		"in the name":             len(nameFrame) - 1,
		"between name and text":   len(nameFrame),
		"in the message's header": len(nameFrame) + 1,
		"in the message":          len(pair) - 1,
	} {
		t.Run(strings.ReplaceAll(cut, " ", "-"), func(t *testing.T) {
			l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			host, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			client := newPython(t, "client.py", host, port, "ada", "--follow")
			deadline := time.Now().Add(interopTimeout)
			require.NoError(t, l.SetDeadline(deadline))
			nc, err := l.Accept()
			require.NoError(t, err)
			t.Cleanup(func() { _ = nc.Close() })
			require.NoError(t, nc.SetDeadline(deadline))
			joined, err := chatroom.ReadFrame(nc, 100)
			require.NoError(t, err)
			require.Equal(t, "ada", string(joined))

			_, err = nc.Write(pair[:at])
			require.NoError(t, err)
			rest, err := client.wait()
			assert.Empty(t, rest)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, 1, exit.ExitCode())
			assert.Contains(t, client.stderr.String(), "gave up")
		})
	}
}

// An interopRoom is a chat room on a loopback TCP port, of whatever make.
type interopRoom interface {
	addr() string
	awaitJoin(name string)                // blocks until the next member has joined, which must be this one
	awaitLeave(name string, reason error) // likewise; a room that is not told reasons ignores this one
	hangUp()                              // disconnects everyone
}

// forEachInteropRoom runs test against our server and against the Python one.
func forEachInteropRoom(t *testing.T, test func(*testing.T, interopRoom)) {
	t.Run("room=chatroom", func(t *testing.T) { t.Parallel(); test(t, newGoRoom(t)) })
	t.Run("room=server.py", func(t *testing.T) { t.Parallel(); test(t, newPythonRoom(t)) })
}

// A goRoom is a room of ours.
type goRoom struct {
	t       testing.TB
	ctx     context.Context
	srv     *chatroom.Server
	address string
	joins   chan string
	leaves  chan interopLeave
	running sync.WaitGroup
}

type interopLeave struct {
	name   string
	reason error
}

func newGoRoom(t testing.TB) *goRoom {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &goRoom{
		t:       t,
		ctx:     newInteropContext(t),
		address: l.Addr().String(),
		// More than any test has members, so that no hook ever blocks.
		joins:  make(chan string, 64),
		leaves: make(chan interopLeave, 64),
	}
	r.srv = chatroom.NewServer(
		chatroom.WithOnJoin(func(_ context.Context, m chatroom.Member) { r.joins <- m.Name }),
		chatroom.WithOnLeave(func(_ context.Context, m chatroom.Member, reason error) { r.leaves <- interopLeave{m.Name, reason} }),
	)
	r.running.Go(func() { assert.ErrorIs(t, r.srv.Serve(l), chatroom.ErrServerClosed) })
	t.Cleanup(func() {
		assert.NoError(t, r.srv.Close())
		assert.NoError(t, r.srv.Shutdown(r.ctx)) // waits for the last hook
		r.running.Wait()
	})
	return r
}

func (r *goRoom) addr() string { return r.address }

func (r *goRoom) awaitJoin(name string) {
	r.t.Helper()
	select {
	case joined := <-r.joins:
		require.Equal(r.t, name, joined, "who joined")
	case <-r.ctx.Done():
		require.FailNow(r.t, "nobody joined", "want %q: %v", name, r.ctx.Err())
	}
}

func (r *goRoom) awaitLeave(name string, reason error) {
	r.t.Helper()
	select {
	case left := <-r.leaves:
		require.Equal(r.t, name, left.name, "who left")
		assert.ErrorIs(r.t, left.reason, reason)
	case <-r.ctx.Done():
		require.FailNow(r.t, "nobody left", "want %q: %v", name, r.ctx.Err())
	}
	for _, m := range r.srv.Members() {
		assert.NotEqual(r.t, name, m.Name, "still listed")
	}
}

func (r *goRoom) hangUp() {
	// Not waited for here: it waits for the members to hang up too.
	r.running.Go(func() { assert.NoError(r.t, r.srv.Shutdown(r.ctx)) })
}

// A pythonRoom is a room of server.py's.
type pythonRoom struct {
	*python
	address string
}

func newPythonRoom(t testing.TB) *pythonRoom {
	t.Helper()
	p := newPython(t, "server.py", "127.0.0.1", "0")
	return &pythonRoom{python: p, address: p.readLine()}
}

func (r *pythonRoom) addr() string { return r.address }

func (r *pythonRoom) awaitJoin(name string) {
	r.t.Helper()
	require.Equal(r.t, "+"+name, r.readLine())
}

func (r *pythonRoom) awaitLeave(name string, _ error) {
	r.t.Helper()
	require.Equal(r.t, "-"+name, r.readLine())
}

func (r *pythonRoom) hangUp() { r.kill() }

// An interopMember is a client in a room, of whatever make.
type interopMember interface {
	name() string
	say(text string)
	hear() (from, text string) // blocks until a message comes
	hearEnd()                  // blocks until the server hangs up; no message must come
	leave()
}

// A goMember is a client of ours.
type goMember struct {
	t    testing.TB
	ctx  context.Context
	nick string
	conn *chatroom.Conn
}

func newGoMember(t testing.TB, room interopRoom, name string, opts ...chatroom.DialOption) *goMember {
	t.Helper()
	m := &goMember{t: t, ctx: newInteropContext(t), nick: name}
	var err error
	m.conn, err = chatroom.Dial(m.ctx, "tcp", room.addr(), name, opts...)
	require.NoError(t, err)
	t.Cleanup(m.leave)
	room.awaitJoin(name)
	return m
}

// withConn puts what wrap returns in place of the client's TCP connection.
func withConn(wrap func(*net.TCPConn) net.Conn) chatroom.DialOption {
	return chatroom.WithDialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(nc.(*net.TCPConn)), nil
	})
}

// A readerConn is a TCP connection that is read through r.
type readerConn struct {
	*net.TCPConn
	r io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func (m *goMember) name() string { return m.nick }

func (m *goMember) say(text string) {
	m.t.Helper()
	require.NoError(m.t, m.conn.Send(m.ctx, []byte(text)), "%s says", m.nick)
}

func (m *goMember) hear() (from, text string) {
	m.t.Helper()
	msg, err := m.conn.Receive(m.ctx)
	require.NoError(m.t, err, "%s hears", m.nick)
	return msg.From, string(msg.Body)
}

func (m *goMember) hearEnd() {
	m.t.Helper()
	msg, err := m.conn.Receive(m.ctx)
	assert.Equal(m.t, io.EOF, err, "%s hears the end, and not %q", m.nick, msg)
	m.leave()
}

func (m *goMember) leave() {
	m.t.Helper()
	assert.NoError(m.t, m.conn.Close(), "%s leaves", m.nick)
}

// A pythonMember is a process of client.py.
type pythonMember struct {
	*python
	nick string
}

func newPythonMember(t testing.TB, room interopRoom, name string) *pythonMember {
	t.Helper()
	host, port, err := net.SplitHostPort(room.addr())
	require.NoError(t, err)
	m := &pythonMember{newPython(t, "client.py", host, port, name), name}
	room.awaitJoin(name)
	return m
}

func (m *pythonMember) name() string { return m.nick }

func (m *pythonMember) say(text string) {
	m.t.Helper()
	_, err := io.WriteString(m.stdin, text+"\n")
	require.NoError(m.t, err, "%s says", m.nick)
}

func (m *pythonMember) hear() (from, text string) {
	m.t.Helper()
	line := m.readLine()
	from, text, ok := strings.Cut(line, " > ")
	require.True(m.t, ok, "%s heard %q, which is no message", m.nick, line)
	return from, text
}

func (m *pythonMember) hearEnd() {
	m.t.Helper()
	rest, err := m.wait()
	require.NoError(m.t, err, "%s ends", m.nick)
	assert.Empty(m.t, rest, "%s hears the end", m.nick)
}

func (m *pythonMember) leave() {
	m.t.Helper()
	require.NoError(m.t, m.stdin.Close())
	m.hearEnd()
}

// python is a running Python program. The last of what it prints is shown when
// the test fails.
type python struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer // complete once waited is set
	waited bool
}

// newPython starts a program of testdata's, which is killed at the test's end.
// It skips the test where there is no Python.
func newPython(t testing.TB, script string, args ...string) *python {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("needs Python: %v", err)
	}
	// In UTF-8 mode the names and texts do not depend on the locale.
	args = append([]string{"-X", "utf8", filepath.Join("testdata", script)}, args...)
	p := &python{t: t, cmd: exec.CommandContext(newInteropContext(t), path, args...)}
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	printed := new(bytes.Buffer)
	p.stdout = bufio.NewReader(io.TeeReader(stdout, printed))
	p.cmd.Stderr = &p.stderr
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if !p.waited {
			p.kill()
			_, _ = p.wait() // killed, it fails
		}
		if t.Failed() {
			const tail = 2000 // bytes; a burst prints a lot
			out := printed.Bytes()
			out = out[max(0, len(out)-tail):]
			t.Logf("%s: %v\nend of stdout:\n%s\nstderr:\n%s", p.cmd, p.cmd.ProcessState, out, &p.stderr)
		}
	})
	return p
}

// readLine blocks until the program has printed a line, and returns it without
// its end.
func (p *python) readLine() string {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	require.NoError(p.t, err, "%s printed no line, but %q", p.cmd, line)
	return strings.TrimRight(line, "\r\n")
}

// wait blocks until the program has ended, and returns what it had printed
// beyond the lines that were read, and how it ended.
func (p *python) wait() (rest string, err error) {
	p.waited = true
	printed, _ := io.ReadAll(p.stdout) // cut short only if Wait fails too
	return string(printed), p.cmd.Wait()
}

func (p *python) kill() { _ = p.cmd.Process.Kill() } // fails only when it has ended

// newInteropContext returns a context that ends after the test, or when it
// hangs.
func newInteropContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), interopTimeout)
	t.Cleanup(cancel)
	return ctx
}

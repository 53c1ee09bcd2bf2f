// Command chatroom hosts a chat room and joins one, on a terminal or in a pipe.
//
// Without a subcommand it does both: it hosts a room and joins it from this
// terminal. See "chatroom -h".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// defaultAddr is where a room is hosted and looked for by default: on this
// machine alone.
const defaultAddr = "127.0.0.1:4321"

// endTimeout is how long the program, at its end, waits for its output to be
// taken and for connections to be closed. That takes no time unless something
// is stuck.
const endTimeout = time.Second

// errQuiet ends the program with status 1 and without a word, because nobody
// could read it or the user knows already.
var errQuiet = errors.New("quiet")

// errVersion asks for the version, as flag.ErrHelp asks for help.
var errVersion = errors.New("version requested")

// A usageError is a mistake in the command line, which ends the program with
// status 2.
type usageError struct {
	command string // as typed, such as "chatroom join"
	err     error
}

func (e *usageError) Error() string { return fmt.Sprintf("%v (see %q)", e.err, e.command+" -h") }

func main() {
	ctx, leave := context.WithCancel(context.Background())
	now, quit := context.WithCancel(context.Background())
	go watchSignals(leave, quit)
	os.Exit(run(ctx, now, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// watchSignals calls leave at the first signal to end, and quit at the second.
// The third ends the program in the system's own way. watchSignals runs until
// the program exits.
func watchSignals(leave, quit context.CancelFunc) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it ignored
		signal.Notify(c, syscall.SIGHUP)
	}
	<-c
	leave()
	<-c
	quit()
	signal.Stop(c)
}

// A program is one run of the command.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr *logOutput

	// ready, if not nil, is told where a server can be reached, once it can.
	ready func(where ...string)

	// level is the least that a server logs.
	level slog.Level
}

// run runs the command and returns its exit status. The end of ctx asks it to
// leave in good order, the end of now to leave immediately.
//
// A goroutine that is blocked in reading or writing a file outlives run, so the
// process should end after run.
func run(ctx, now context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: startLog(stderr)}
	p.level = slog.LevelDebug // where the library logs what is said
	defer p.stderr.end()
	err := p.command(ctx, now, args)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errQuiet):
		return 1
	case errors.As(err, &usage):
		p.complain(err)
		return 2
	default:
		p.complain(err)
		return 1
	}
}

// complain prints err on one line.
func (p *program) complain(err error) {
	fmt.Fprintf(p.stderr, "chatroom: %s\n", plain(err))
}

// plain returns what err says, on one line. The library names itself in its
// errors; the program does so already. What a server puts in its certificate,
// for one, gets into errors too: it is not obeyed.
func plain(err error) string { return visible(strings.ReplaceAll(err.Error(), "chatroom: ", "")) }

// command dispatches to the subcommand that args name.
func (p *program) command(ctx, now context.Context, args []string) error {
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	var err error
	switch name {
	case "":
		err = p.host(ctx, now, args)
	case "serve":
		err = p.serve(ctx, now, args)
	case "join":
		err = p.join(ctx, now, args)
	case "cluster":
		err = p.cluster(ctx, now, args)
	case childCommand:
		return p.child(ctx, now, args) // not for users, so it has no help
	case "help":
		if len(args) > 0 {
			name = args[0]
		} else {
			name = ""
		}
		err = flag.ErrHelp
	}
	help, known := helps[name]
	switch {
	case !known:
		return &usageError{"chatroom", fmt.Errorf("unknown command %q", name)}
	case errors.Is(err, flag.ErrHelp):
		return p.print(ctx, help)
	case errors.Is(err, errVersion):
		return p.print(ctx, version(debug.ReadBuildInfo()))
	}
	return err
}

// print writes text to the standard output, which may be stuck.
func (p *program) print(ctx context.Context, text string) error {
	_, err := orLeave(ctx, func() (int, error) { return io.WriteString(p.stdout, text) })
	return err
}

// orLeave returns what f returns, or errQuiet when ctx ends first. f may block
// on a file, such as a pipe, and cannot be stopped. It then goes on, on a
// goroutine of its own, until the program exits.
func orLeave[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, errQuiet
	}
}

// newFlags returns the flags that each subcommand has. The name "" is for no
// subcommand.
func newFlags(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(strings.TrimSpace("chatroom "+command), flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run prints the error, on one line
	fs.Bool("version", false, "")
	return fs
}

// parseFlags parses args, and returns the arguments that are no flags. There
// may be up to limit of them, and flags may follow them.
func parseFlags(fs *flag.FlagSet, args []string, limit int) ([]string, error) {
	var rest []string
	for {
		err := fs.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			return nil, err
		case err != nil:
			return nil, &usageError{fs.Name(), err}
		case fs.Lookup("version").Value.String() == "true":
			return nil, errVersion
		case fs.NArg() == 0:
			return rest, nil
		case len(rest) == limit:
			return nil, &usageError{fs.Name(), fmt.Errorf("unexpected argument %q", fs.Arg(0))}
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

const (
	errAddrInUse   = syscall.EADDRINUSE   // why nothing can listen on an address twice
	errConnRefused = syscall.ECONNREFUSED // nobody listens
	errConnReset   = syscall.ECONNRESET   // the other side has closed and not read everything
)

// killCommand ends the process behind it, which has no say in it.
const killCommand = "kill -9"

// ownGroup has a process belong to a group of its own, so that Ctrl-C does not reach it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// readInBackground has reading the terminal fail, instead of stopping the program, while the
// program is in the background.
func readInBackground() { signal.Ignore(syscall.SIGTTIN) }

// watchSize calls changed, on a goroutine of its own, whenever the terminal has
// changed its size. It does so until stop is called. stop waits for a call in
// progress.
func watchSize(changed func()) (stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range c {
			changed()
		}
	}()
	return func() {
		signal.Stop(c)
		close(c) // after Stop nothing is sent
		<-done
	}
}

// enableEscapes does nothing: terminals know escape sequences.
func enableEscapes(*os.File) (reset func(), err error) { return func() {}, nil }

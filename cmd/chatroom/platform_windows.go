package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

const (
	errAddrInUse   = windows.WSAEADDRINUSE   // why nothing can listen on an address twice
	errConnRefused = windows.WSAECONNREFUSED // nobody listens
	errConnReset   = windows.WSAECONNRESET   // the other side has closed and not read everything
)

// killCommand ends the process behind it, which has no say in it.
const killCommand = "taskkill /f /pid"

// ownGroup has a process belong to a group of its own, so that Ctrl-C does not reach it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// readInBackground does nothing: there is no background.
func readInBackground() {}

// watchSize does nothing: consoles do not tell.
func watchSize(func()) (stop func()) { return func() {} }

// enableEscapes makes the console out obey escape sequences, until reset is
// called.
func enableEscapes(out *os.File) (reset func(), err error) {
	console := windows.Handle(out.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(console, &mode); err != nil {
		return nil, err
	}
	const escapes = windows.ENABLE_PROCESSED_OUTPUT | windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING
	if err := windows.SetConsoleMode(console, mode|escapes); err != nil {
		return nil, err
	}
	return func() { _ = windows.SetConsoleMode(console, mode) }, nil // the console may be gone
}

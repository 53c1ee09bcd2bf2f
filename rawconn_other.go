//go:build !unix

package chatroom

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns nil: connections are read and written as any net.Conn.
func rawConn(net.Conn) syscall.RawConn { return nil }

// A readiness is not used here.
type readiness struct{}

func (*readiness) init(*frameReader) {}

func (*readiness) fill(syscall.RawConn) error { return errors.ErrUnsupported }

func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

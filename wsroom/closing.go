package wsroom

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"unicode/utf8"

	"example.com/chatroom"
)

// The codes of close frames that this package sends. RFC 6455 has more.
const (
	CodeNormal      = 1000 // a clean goodbye
	CodeGoingAway   = 1001 // the server is ending
	CodeProtocol    = 1002 // the peer has broken the rules of WebSocket, or those of the room's frames
	CodeUnsupported = 1003 // a text message
	CodeNone        = 1005 // never sent: the close frame had no code
	CodePolicy      = 1008 // refused, kicked, too slow, silent for too long; the reason says which
	CodeTooLarge    = 1009 // a message longer than the room allows
	CodeInternal    = 1011 // a hook has failed
)

// maxReason is the longest reason of a close frame in bytes.
const maxReason = 123

// A CloseError is how a connection ended whose peer did not say a clean goodbye, or broke the
// rules.
type CloseError struct {
	Code   int    // of the close frame, from 1000 to 4999
	Reason string // valid UTF-8, may be empty
}

// Error says what the close frame said.
func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("wsroom: closed with code %d", e.Code)
	}
	return fmt.Sprintf("wsroom: closed with code %d: %s", e.Code, e.Reason)
}

// isClean reports whether a client takes it for the end of the stream.
func (e *CloseError) isClean() bool {
	return e.Code == CodeNormal || e.Code == CodeGoingAway || e.Code == CodeNone
}

// closeErrorFor returns what the server tells a member that leaves, or a connection that it
// refuses, for that reason.
func closeErrorFor(reason error) CloseError {
	var told *CloseError
	var below *net.OpError
	switch {
	case reason == nil:
		return CloseError{Code: CodeNormal}
	case errors.Is(reason, chatroom.ErrServerClosed):
		return CloseError{Code: CodeGoingAway, Reason: "server closed"}
	case errors.Is(reason, chatroom.ErrKicked):
		return CloseError{Code: CodePolicy, Reason: reasonText(reason)}
	case errors.As(reason, &told):
		return CloseError{Code: told.Code, Reason: reasonText(errors.New(told.Reason))}
	case errors.Is(reason, chatroom.ErrHookFailed):
		return CloseError{Code: CodeInternal} // what has panicked is nobody else's business
	case errors.Is(reason, chatroom.ErrFrameTooLarge):
		return CloseError{Code: CodeTooLarge, Reason: reasonText(reason)}
	case errors.Is(reason, chatroom.ErrBadHeader):
		return CloseError{Code: CodeProtocol, Reason: reasonText(reason)}
	case errors.Is(reason, chatroom.ErrSlowConsumer):
		return CloseError{Code: CodePolicy, Reason: "slow consumer"}
	case errors.Is(reason, os.ErrDeadlineExceeded):
		return CloseError{Code: CodePolicy, Reason: "timeout"}
	case errors.As(reason, &below): // it has addresses in it
		return CloseError{Code: CodeNormal}
	}
	return CloseError{Code: CodePolicy, Reason: reasonText(reason)}
}

// reasonText returns the text of an error as a close frame can carry it.
func reasonText(err error) string {
	s := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "chatroom: "), ": chatroom: ", ": ")
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	const more = "…"
	n := maxReason - len(more)
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}

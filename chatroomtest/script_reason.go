package chatroomtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"example.com/chatroom"
)

// A scriptReason is a word of scripts for why a connection ended.
type scriptReason struct {
	word string
	err  error // nil for a goodbye
}

// scriptReasons are tried in turn, the more particular first.
var scriptReasons = []scriptReason{
	{"goodbye", nil},
	{"slow consumer", chatroom.ErrSlowConsumer}, // also a timeout
	{"server closed", chatroom.ErrServerClosed},
	{"name rejected", chatroom.ErrNameRejected},
	{"bad header", chatroom.ErrBadHeader},
	{"too large", chatroom.ErrFrameTooLarge},
	{"timeout", os.ErrDeadlineExceeded},
	{"reset", syscall.ECONNRESET},
	{"half a frame", io.ErrUnexpectedEOF},
}

// reasonOf returns the REASON that a script gives for err.
func reasonOf(err error) string {
	for _, r := range scriptReasons {
		if err == r.err || r.err != nil && errors.Is(err, r.err) {
			return r.word
		}
	}
	return strconv.Quote(err.Error())
}

// isReason reports whether err is what a script calls reason.
func isReason(err error, reason string) bool {
	if !strings.HasPrefix(reason, `"`) {
		return reasonOf(err) == reason
	}
	part, unquoteErr := strconv.Unquote(reason)
	return unquoteErr == nil && err != nil && strings.Contains(err.Error(), part)
}

// checkReason returns why reason is none.
func checkReason(reason string) error {
	if strings.HasPrefix(reason, `"`) {
		if _, err := strconv.Unquote(reason); err != nil {
			return fmt.Errorf("%s begins with a quotation mark and is not a quoted string", reason)
		}
		return nil
	}
	var words []string
	for _, r := range scriptReasons {
		if r.word == reason {
			return nil
		}
		words = append(words, r.word)
	}
	return fmt.Errorf("unknown reason %q%s", reason, suggestion(reason, words))
}

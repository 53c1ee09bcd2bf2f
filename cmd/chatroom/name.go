package main

import (
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLoginName is the longest name, in bytes, that servers accept by default.
const maxLoginName = 64

// loginName returns the user's login name in a form that servers accept, or
// "guest".
func loginName() string {
	for _, key := range []string{"USER", "LOGNAME", "USERNAME"} {
		if name := acceptableName(os.Getenv(key)); name != "" {
			return name
		}
	}
	return "guest"
}

// acceptableName returns what servers accept of name.
func acceptableName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r != ' ' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	for len(name) > maxLoginName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return strings.TrimSpace(name)
}

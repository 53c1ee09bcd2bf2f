package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/chatroom"
)

// userName returns name, which the flag -name was given, or the login name if
// it was not. If a server with the default rule would refuse the name, userName
// returns a usage error. The protocol has no answer to a name, so this is the
// place to say it clearly.
func userName(fs *flag.FlagSet, name string) (string, error) {
	given := false
	fs.Visit(func(f *flag.Flag) { given = given || f.Name == "name" })
	if !given {
		return loginName(), nil
	}
	if err := chatroom.CheckName(name); err != nil {
		return "", &usageError{fs.Name(), fmt.Errorf("name %q: %w", name, err)}
	}
	return name, nil
}

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

// acceptableName returns the part of name that servers accept.
func acceptableName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r != ' ' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	for name != "" && chatroom.CheckName(name) != nil { // most often it is too long
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return strings.TrimSpace(name)
}

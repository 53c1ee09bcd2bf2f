package chatroomtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/chatroom"
)

// A script is a story that RunScripts can tell.
type script struct {
	name  string
	lines []string
	acts  []act
	opts  []chatroom.ServerOption
}

// An act is one line of a script.
type act struct {
	line     int // from 1
	verb     string
	ids      []string // connections, or the names of members
	name     string   // a member's name, of a join or of who sent a message
	body     string
	midFrame bool
	count    int // with size, of numbered messages; zero for none
	size     int // bytes
	time     time.Duration
}

// The verbs that begin a line, and those that follow IDs.
var (
	leadingVerbs = []string{
		"option", "join", "connect", "broadcast", "leave", "cut", "stall", "resume", "sleep", "shutdown", "close",
		"members", "left", "refused",
	}
	followingVerbs = []string{"sends", "receives", "nothing", "closed"}
)

// parseScript reads a whole script. Its error begins with file and line.
func parseScript(name, text string) (*script, error) {
	sc := &script{name: name, lines: strings.Split(text, "\n")}
	for i, line := range sc.lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		a, err := parseAct(line)
		if err == nil && a.verb == "option" {
			err = sc.addOption(a)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		if a.verb != "option" {
			a.line = i + 1
			sc.acts = append(sc.acts, a)
		}
	}
	return sc, nil
}

func (sc *script) addOption(a act) error {
	if len(sc.acts) > 0 {
		return fmt.Errorf("option %s after the first act", a.name)
	}
	durations := map[string]func(time.Duration) chatroom.ServerOption{
		"idle-timeout":      chatroom.WithIdleTimeout,
		"handshake-timeout": chatroom.WithHandshakeTimeout,
		"write-timeout":     chatroom.WithWriteTimeout,
	}
	sizes := map[string]func(int) chatroom.ServerOption{
		"max-message": func(n int) chatroom.ServerOption { return chatroom.WithMaxMessage(n) },
		"backlog":     chatroom.WithBacklog,
	}
	if with, ok := durations[a.name]; ok {
		d, err := time.ParseDuration(a.body)
		if err != nil {
			return fmt.Errorf("option %s: want a duration such as 1h, got %q", a.name, a.body)
		}
		sc.opts = append(sc.opts, with(d))
		return nil
	}
	if with, ok := sizes[a.name]; ok {
		n, err := strconv.Atoi(a.body)
		if err != nil {
			return fmt.Errorf("option %s: want a number of bytes, got %q", a.name, a.body)
		}
		sc.opts = append(sc.opts, with(n))
		return nil
	}
	names := []string{"idle-timeout", "handshake-timeout", "write-timeout", "max-message", "backlog"}
	return fmt.Errorf("unknown option %q%s", a.name, suggestion(a.name, names))
}

// parseAct reads one line that is neither blank nor a comment.
func parseAct(line string) (act, error) {
	id, rest, err := cutWord(line)
	if err != nil {
		return act{}, err
	}
	leads := rest == "" || rest[0] == ' '
	if leads && slices.Contains(leadingVerbs, id) {
		return parseLeading(act{verb: id}, strings.TrimSpace(rest))
	}
	a := act{ids: []string{id}}
	for strings.HasPrefix(rest, ",") {
		if id, rest, err = cutWord(strings.TrimSpace(rest[1:])); err != nil {
			return act{}, err
		}
		a.ids = append(a.ids, id)
	}
	switch {
	case strings.HasPrefix(rest, ":"):
		if len(a.ids) > 1 {
			return act{}, fmt.Errorf("one sender a line, got %d", len(a.ids))
		}
		a.verb = "says"
		a.body, err = unquoteBody(rest[1:])
		return a, err
	case strings.HasPrefix(rest, "<"):
		a.verb = "hears"
		a.name, a.body, err = cutMessage(rest[1:])
		return a, err
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if !slices.Contains(followingVerbs, verb) {
		if verb != "" && suggestion(verb, followingVerbs) != "" {
			return act{}, fmt.Errorf("unknown act %q of %s%s", verb, a.ids[0], suggestion(verb, followingVerbs))
		}
		if slices.Contains(leadingVerbs, verb) {
			return act{}, fmt.Errorf("%q comes first: did you mean \"%s %s\"?", verb, verb, a.ids[0])
		}
		if slices.Contains(followingVerbs, a.ids[0]) {
			return act{}, fmt.Errorf("%q comes second: did you mean \"ID %s\"?", a.ids[0], a.ids[0])
		}
		all := append(slices.Clone(leadingVerbs), followingVerbs...)
		return act{}, fmt.Errorf("unknown act %q%s", a.ids[0], suggestion(a.ids[0], all))
	}
	a.verb = verb
	return parseFollowing(a, strings.TrimSpace(rest))
}

func parseLeading(a act, rest string) (act, error) {
	var err error
	switch a.verb {
	case "option":
		var ok bool
		if a.name, a.body, ok = strings.Cut(rest, " "); !ok {
			return a, fmt.Errorf("want option NAME VALUE")
		}
		a.body = strings.TrimSpace(a.body)
	case "sleep":
		if a.time, err = time.ParseDuration(rest); err != nil || a.time < 0 {
			return a, fmt.Errorf("sleep: want a duration such as 1h, got %q", rest)
		}
	case "shutdown", "close":
		if rest != "" {
			return a, fmt.Errorf("%s takes nothing, got %q", a.verb, rest)
		}
	case "broadcast":
		a.name, a.body, err = cutMessage(rest)
	case "left", "refused":
		var id, reason string
		if id, reason, err = cutWord(rest); err != nil {
			return a, err
		}
		a.ids, a.name = []string{id}, id
		if name, ok := strings.CutPrefix(reason, " as "); ok && a.verb == "refused" {
			if a.name, reason, err = cutWord(strings.TrimSpace(name)); err != nil {
				return a, err
			}
		}
		if !strings.HasPrefix(reason, ":") {
			return a, fmt.Errorf("want %s ID: REASON", a.verb)
		}
		a.body = strings.TrimSpace(reason[1:])
		return a, checkReason(a.body)
	default:
		return parseIDs(a, rest)
	}
	return a, err
}

// parseIDs reads what follows join, connect, leave, cut, stall, resume and members.
func parseIDs(a act, rest string) (act, error) {
	for rest != "" {
		id, after, err := cutWord(rest)
		if err != nil {
			return a, err
		}
		rest = strings.TrimSpace(after)
		switch {
		case id == "as" && a.verb == "join" && len(a.ids) == 1 && rest != "":
			a.name, rest, err = cutWord(rest)
			if err != nil || rest != "" {
				return a, fmt.Errorf("want join ID as NAME")
			}
			return a, nil
		case id == "mid-frame" && (a.verb == "leave" || a.verb == "cut") && rest == "" && len(a.ids) > 0:
			a.midFrame = true
		case after != "" && after[0] != ' ':
			return a, fmt.Errorf("%s: want names with spaces between them, got %q", a.verb, after)
		default:
			a.ids = append(a.ids, id)
		}
	}
	if len(a.ids) == 0 && a.verb != "members" {
		return a, fmt.Errorf("want %s ID, of one or more", a.verb)
	}
	return a, nil
}

func parseFollowing(a act, rest string) (act, error) {
	if a.verb == "nothing" || a.verb == "closed" {
		if rest != "" {
			return a, fmt.Errorf("%s takes nothing, got %q", a.verb, rest)
		}
		return a, nil
	}
	if a.verb == "sends" && len(a.ids) > 1 {
		return a, fmt.Errorf("one sender a line, got %d", len(a.ids))
	}
	if strings.HasPrefix(rest, `"`) {
		var err error
		a.body, err = unquoteBody(rest)
		return a, err
	}
	counted, from, hasFrom := strings.Cut(rest, " bytes from ")
	if a.verb == "sends" {
		counted = strings.TrimSuffix(rest, " bytes")
	}
	f := strings.Fields(counted)
	if len(f) == 4 && f[1] == "messages" && f[2] == "of" && hasFrom == (a.verb == "receives") {
		var err1, err2, err3 error
		a.count, err1 = strconv.Atoi(f[0])
		a.size, err2 = strconv.Atoi(f[3])
		if hasFrom {
			a.name, rest, err3 = cutWord(strings.TrimSpace(from))
		} else {
			rest = ""
		}
		if err1 == nil && err2 == nil && err3 == nil && rest == "" && a.count > 0 && a.size >= len(strconv.Itoa(a.count-1)) {
			return a, nil
		}
	}
	form := ""
	if a.verb == "receives" {
		form = " from NAME"
	}
	return a, fmt.Errorf(`want ID %s "BYTES", or ID %s N messages of M bytes%s with room for their numbers`, a.verb, a.verb, form)
}

// cutWord takes the ID or NAME that s begins with.
func cutWord(s string) (word, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", fmt.Errorf("no end of the quotation %s", s)
		}
		word, err = strconv.Unquote(quoted)
		return word, s[len(quoted):], err
	}
	n := strings.IndexAny(s, " :<,")
	if n < 0 {
		n = len(s)
	}
	if n == 0 {
		return "", "", fmt.Errorf("want a name, got %q", s)
	}
	return s[:n], s[n:], nil
}

// cutMessage reads NAME: BODY.
func cutMessage(s string) (name, body string, err error) {
	name, rest, err := cutWord(strings.TrimSpace(s))
	if err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(rest, ":") {
		return "", "", fmt.Errorf("want NAME: BODY, got %q", strings.TrimSpace(s))
	}
	body, err = unquoteBody(rest[1:])
	return name, body, err
}

// unquoteBody reads a BODY, which ends with the line.
func unquoteBody(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", fmt.Errorf(`no body; an empty one is ""`)
	case s[0] != '"':
		return s, nil
	}
	body, err := strconv.Unquote(s)
	if err != nil {
		return "", fmt.Errorf("%s begins with a quotation mark and is not a quoted string", s)
	}
	return body, nil
}

// quoteWord is the inverse of cutWord.
func quoteWord(s string) string {
	if strings.ContainsAny(s, " :<,") {
		return strconv.Quote(s)
	}
	return quoteBody(s)
}

// quoteBody is the inverse of unquoteBody.
func quoteBody(s string) string {
	special := func(r rune) bool { return !unicode.IsPrint(r) }
	if s == "" || s[0] == '"' || s != strings.TrimSpace(s) || !utf8.ValidString(s) || strings.ContainsFunc(s, special) {
		return strconv.Quote(s)
	}
	return s
}

// suggestion asks whether the nearest of known was meant, if one is near.
func suggestion(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is how many bytes must be added, removed or replaced to get from a
// to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

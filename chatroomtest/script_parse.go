package chatroomtest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/chatroom"
)

// An act is one line of a script.
type act struct {
	line int // from 1
	run  func(*scriptRun, act)

	// What the line says. Each form has some of it.
	ids      []string // of connections
	names    []string // of members
	room     string
	inRoom   bool   // whether a room is named
	body     string // a message, bytes or the value of an option
	reason   string
	midFrame bool
	duration time.Duration
}

// nameOf returns the name under which the connection id is to join.
func (a act) nameOf(id string) string {
	if len(a.names) > 0 {
		return a.names[0]
	}
	return id
}

// A form is how the lines of one kind of act read, in the notation of RunScripts.
type form struct {
	text    string
	run     func(*scriptRun, act) // carries out such a line; nil for an option
	pattern *regexp.Regexp
}

// forms are tried in turn. Those that begin with a verb come first, so that "join
// nothing" lets in somebody called nothing.
var forms = sync.OnceValue(func() []form {
	return []form{
		newForm("option NAME VALUE", nil),
		newForm("join ID... [as NAME] [in ROOM]", (*scriptRun).join),
		newForm("connect ID...", (*scriptRun).connectAll),
		newForm("leave ID... [mid-frame]", each((*scriptRun).leave)),
		newForm("cut ID... [mid-frame]", each((*scriptRun).cut)),
		newForm("stall ID...", each((*scriptRun).stall)),
		newForm("resume ID...", each((*scriptRun).resume)),
		newForm("broadcast NAME [in ROOM]: BODY", (*scriptRun).broadcast),
		newForm("tell ID... as NAME: BODY", each((*scriptRun).tell)),
		newForm("kick ID...: BODY", each((*scriptRun).kick)),
		newForm("sleep DURATION", (*scriptRun).sleep),
		newForm("shutdown", (*scriptRun).shutdown),
		newForm("close", (*scriptRun).close),
		newForm("members in ROOM [NAME...]", (*scriptRun).wantMembers),
		newForm("members [NAME...]", (*scriptRun).wantMembers),
		newForm("left ID...: REASON", each((*scriptRun).wantLeft)),
		newForm("refused ID... [as NAME] [in ROOM]: REASON", (*scriptRun).wantRefused),

		newForm("ID,ID...: BODY", each((*scriptRun).say)),
		newForm(`ID,ID... sends "BYTES"`, each((*scriptRun).sendBytes)),
		newForm("ID,ID...< NAME: BODY", each((*scriptRun).wantMessage)),
		newForm(`ID,ID... receives "BYTES"`, each((*scriptRun).wantBytes)),
		newForm("ID,ID... nothing", each((*scriptRun).wantNothing)),
		newForm("ID,ID... closed", each((*scriptRun).wantClosed)),
	}
})

// notation turns a form into a pattern. WORD stands for wordPattern, and a group's
// name tells act.fill what the group has matched.
var notation = strings.NewReplacer(
	"ID,ID...", `(?P<ids>WORD(, *WORD)*)`,
	"ID...", `(?P<ids>WORD( +WORD)*?)`,
	" [NAME...]", `(?P<names>( +WORD)*)`,
	" [as NAME]", `( +as +(?P<names>WORD))?`,
	" [in ROOM]", `( +in +(?P<room>WORD))?`,
	"ROOM", `(?P<room>WORD)`,
	" [mid-frame]", `(?P<midFrame> +mid-frame)?`,
	"NAME", `(?P<names>WORD)`,
	"BODY", `(?P<body>.*)`,
	`"BYTES"`, `(?P<body>".*)`,
	"VALUE", `(?P<body>.*)`,
	"REASON", `(?P<reason>.*)`,
	"DURATION", `(?P<duration>.*)`,
	": ", `: *`,
	"< ", `< *`,
	" ", ` +`,
)

// wordPattern finds an ID or a NAME.
var wordPattern = regexp.MustCompile(`"([^"\\]|\\.)*"|[^" :<,][^ :<,]*`)

func newForm(text string, run func(*scriptRun, act)) form {
	pattern := strings.ReplaceAll(notation.Replace(text), "WORD", "("+wordPattern.String()+")")
	return form{text, run, regexp.MustCompile("^" + pattern + "$")}
}

// parseScript reads a whole script. Its error begins with the line's number.
func parseScript(text string) (acts []act, opts []chatroom.ServerOption, err error) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		a, err := parseAct(line)
		switch {
		case err != nil:
		case a.run != nil:
			a.line = i + 1
			acts = append(acts, a)
		case len(acts) > 0:
			err = errors.New("options come before all other acts")
		default:
			var opt chatroom.ServerOption
			opt, err = parseOption(a.names[0], a.body)
			opts = append(opts, opt)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%d: %w", i+1, err)
		}
	}
	return acts, opts, nil
}

// parseAct reads one line that is neither blank nor a comment.
func parseAct(line string) (act, error) {
	for _, f := range forms() {
		groups := f.pattern.FindStringSubmatch(line)
		if groups == nil {
			continue
		}
		a := act{run: f.run}
		for i, name := range f.pattern.SubexpNames() {
			if err := a.fill(name, groups[i]); err != nil {
				return act{}, fmt.Errorf("%w; want %s", err, f.text)
			}
		}
		return a, nil
	}
	return act{}, unknownAct(line)
}

// fill sets the field that a group of a form's pattern is for.
func (a *act) fill(group, text string) (err error) {
	switch group {
	case "ids":
		a.ids, err = unquoteWords(text)
	case "names":
		a.names, err = unquoteWords(text)
	case "room":
		a.room, err = unquote(text)
		a.inRoom = text != ""
	case "body":
		a.body, err = unquote(text)
		if text == "" {
			err = errors.New(`no BODY (an empty one is "")`)
		}
	case "reason":
		a.reason = text
		err = checkReason(text)
	case "midFrame":
		a.midFrame = text != ""
	case "duration":
		a.duration, err = time.ParseDuration(text)
	}
	return err
}

// unknownAct returns the error for a line of no form. It suggests a form that has a
// word like one of the line's.
func unknownAct(line string) error {
	for _, word := range strings.Fields(line) {
		for _, f := range forms() {
			for _, known := range strings.Fields(f.text) {
				if isNear(word, known) {
					return fmt.Errorf("unknown act %q; did you mean %s?", line, f.text)
				}
			}
		}
	}
	return fmt.Errorf("unknown act %q", line)
}

// isNear reports whether one of a and b may be a slip for the other: they begin with
// the same letter, and what they begin and end with alike is half of the longer.
func isNear(a, b string) bool {
	shorter, longer := min(len(a), len(b)), max(len(a), len(b))
	head, tail := 0, 0
	for head < shorter && a[head] == b[head] {
		head++
	}
	for head+tail < shorter && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head > 0 && 2*(head+tail) >= longer
}

var scriptOptions = map[string]func(value string) (chatroom.ServerOption, error){
	"idle-timeout":      optionOf(time.ParseDuration, chatroom.WithIdleTimeout),
	"handshake-timeout": optionOf(time.ParseDuration, chatroom.WithHandshakeTimeout),
	"write-timeout":     optionOf(time.ParseDuration, chatroom.WithWriteTimeout),
	"backlog":           optionOf(strconv.Atoi, chatroom.WithBacklog),
	"frame-timeout":     optionOf(time.ParseDuration, chatroom.WithFrameTimeout),
	"history":           optionOf(strconv.Atoi, chatroom.WithHistory),
	"max-members":       optionOf(strconv.Atoi, chatroom.WithMaxMembers),
	"unique-names": optionOf(strconv.ParseBool, func(unique bool) chatroom.ServerOption {
		if unique {
			return chatroom.WithUniqueNames()
		}
		return chatroom.WithHistory(0) // the default
	}),
	"max-message": optionOf(strconv.Atoi, func(n int) chatroom.ServerOption { return chatroom.WithMaxMessage(n) }),
}

func optionOf[T any](parse func(string) (T, error), with func(T) chatroom.ServerOption) func(string) (chatroom.ServerOption, error) {
	return func(value string) (chatroom.ServerOption, error) {
		v, err := parse(value)
		return with(v), err
	}
}

func parseOption(name, value string) (chatroom.ServerOption, error) {
	parse := scriptOptions[name]
	if parse == nil {
		known := slices.Sorted(maps.Keys(scriptOptions))
		return nil, fmt.Errorf("unknown option %q; there are %s", name, strings.Join(known, ", "))
	}
	return parse(value)
}

// unquoteWords returns the words of s.
func unquoteWords(s string) (words []string, err error) {
	for _, quoted := range wordPattern.FindAllString(s, -1) {
		word, err := unquote(quoted)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

// unquote returns what a script's BODY, ID or NAME stands for.
func unquote(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	text, err := strconv.Unquote(s)
	if err != nil {
		return "", fmt.Errorf("%s is not a quoted string", s)
	}
	return text, nil
}

// quoteWord returns s as a script writes it where it is an ID or a NAME.
func quoteWord(s string) string {
	quoted := strconv.Quote(s)
	if s == "" || strings.ContainsAny(s, " :<,") || quoted != `"`+s+`"` {
		return quoted
	}
	return s
}

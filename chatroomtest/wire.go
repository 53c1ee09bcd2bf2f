package chatroomtest

import (
	"bytes"
	"embed"
	"fmt"
	"strconv"
	"strings"
)

// wireFiles holds the examples. wire/README.md says how they are written.
//
//go:embed wire/*.hex
var wireFiles embed.FS

// A WireExample is one example of the wire protocol: a few steps, each of some
// bytes.
type WireExample struct {
	Name  string
	Steps []WireStep
}

// A WireStep is a line of a [WireExample].
type WireStep struct {
	Word  string // what the bytes are: "frame", "header", "send" and so on
	Conn  string // in a conversation, whose they are; empty elsewhere
	Bytes []byte
}

// Bytes returns the bytes of the example's first step of this word, or nil if
// there is none. They belong to the example.
func (e WireExample) Bytes(word string) []byte {
	for _, step := range e.Steps {
		if step.Word == word {
			return step.Bytes
		}
	}
	return nil
}

// WireExamples returns the examples of the wire protocol that the file
// wire/name.hex of this package holds, in the order of the file. The caller owns
// them. The names are
//
//   - "frames": a "payload", and the "frame" as which it must be written;
//   - "accept": a "header" that must be read, and the "payload" it announces;
//   - "reject": a "header" that must be rejected as malformed;
//   - "limit": a "header" of more than 1 MiB, to be rejected by a reader with
//     that limit;
//   - "conversations": the steps "join", "send", "want" and "leave" of several
//     connections to one server.
//
// The files can be read in any language, so that clients and servers written in
// it can be checked against the same bytes; the README beside them describes the
// format. WireExamples panics if there is no such file.
func WireExamples(name string) []WireExample {
	text, err := wireFiles.ReadFile("wire/" + name + ".hex")
	if err != nil {
		panic(fmt.Sprintf("chatroomtest: no wire examples %q", name))
	}
	examples, err := parseWire(string(text))
	if err != nil {
		panic(fmt.Sprintf("chatroomtest: wire/%s.hex: %v", name, err))
	}
	return examples
}

func parseWire(text string) ([]WireExample, error) {
	var examples []WireExample
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		head, rest, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("line %d: no colon", number)
		}
		if head == "case" {
			examples = append(examples, WireExample{Name: strings.TrimSpace(rest)})
			continue
		}
		if len(examples) == 0 {
			return nil, fmt.Errorf("line %d: %q before the first case", number, head)
		}
		step := WireStep{Bytes: []byte{}}
		step.Word, step.Conn, _ = strings.Cut(head, " ")
		for token := range strings.FieldsSeq(rest) {
			digits, count, repeated := strings.Cut(token, "*")
			b, err := strconv.ParseUint(digits, 16, 8)
			if err != nil || len(digits) != 2 {
				return nil, fmt.Errorf("line %d: %q is not a byte", number, token)
			}
			n := 1
			if repeated {
				if n, err = strconv.Atoi(count); err != nil || n < 0 {
					return nil, fmt.Errorf("line %d: %q is not a count", number, count)
				}
			}
			step.Bytes = append(step.Bytes, bytes.Repeat([]byte{byte(b)}, n)...)
		}
		last := &examples[len(examples)-1]
		last.Steps = append(last.Steps, step)
	}
	return examples, nil
}

package main

import (
	"fmt"
	"hash/fnv"
	"os"
)

// palette has the colours of names, as SGR parameters. All of them can be read
// both on black and on white.
var palette = [...]int{31, 32, 33, 34, 35, 36, 91, 92, 94, 95}

// A painter colours names. The zero painter does not.
type painter struct{ on bool }

// newPainter returns a painter for output that is a terminal or is none.
func newPainter(terminal bool) painter {
	return painter{terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// name returns shown in the colour of the name that it shows. A name has the
// same colour always and everywhere.
func (p painter) name(name, shown string) string {
	if !p.on {
		return shown
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", palette[h.Sum32()%uint32(len(palette))], shown)
}

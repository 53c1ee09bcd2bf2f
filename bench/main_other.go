//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: needs Linux, for its load, its floor and its figures of other processes")
	os.Exit(1)
}

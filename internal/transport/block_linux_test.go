//go:build linux && (amd64 || arm64) && !race

package transport_test

var blockWhen = []string{"before", "after"}

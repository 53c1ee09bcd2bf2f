//go:build unix && !(linux && (amd64 || arm64) && !race)

package transport_test

var blockWhen = []string{"before"}

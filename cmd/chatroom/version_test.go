package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVersion(t *testing.T) {
	platform := ", go1.25.0, " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	info := &debug.BuildInfo{GoVersion: "go1.25.0", Main: debug.Module{Version: "v1.2.3"}}
	assert.Equal(t, "chatroom v1.2.3"+platform, version(info, true))
	info.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}
	assert.Equal(t, "chatroom v1.2.3, revision abc, modified"+platform, version(info, true))
	assert.Equal(t, "chatroom of an unknown version\n", version(nil, false))
}

func TestVersionFlag(t *testing.T) {
	for _, command := range []string{"", "serve", "join"} {
		status, stdout, stderr := runToEnd(t, "", strings.Fields(command+" -version")...)
		assert.Equal(t, 0, status)
		assert.Empty(t, stderr)
		assert.Regexp(t, `^chatroom [^\n]+, go1[^\n]+\n$`, stdout)
	}
}

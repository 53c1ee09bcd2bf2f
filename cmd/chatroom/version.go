package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version returns which build of the program this is, as info says.
func version(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return "chatroom of an unknown version\n"
	}
	text := "chatroom " + info.Main.Version
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		text += ", revision " + revision
		if settings["vcs.modified"] == "true" {
			text += ", modified"
		}
	}
	return fmt.Sprintf("%s, %s, %s/%s\n", text, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

package chatroom_test

import (
	"os"
	"testing"

	"example.com/chatroom/chatroomtest"
)

// The stories of testdata/scripts tell what a room promises, one promise each.
func TestScripts(t *testing.T) {
	chatroomtest.RunScripts(t, os.DirFS("testdata"), "scripts/*.txt", nil)
}

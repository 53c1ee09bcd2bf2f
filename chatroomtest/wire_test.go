package chatroomtest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom/chatroomtest"
)

func TestParseWire(t *testing.T) {
	got, err := chatroomtest.ParseWire(`# a comment

case: one  # another
header: 35 20*3 0a
payload:
send a: FF
`)
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, chatroomtest.WireExample{Name: "one", Steps: []chatroomtest.WireStep{
		{Word: "header", Bytes: []byte("5   \n")},
		{Word: "payload", Bytes: []byte{}},
		{Word: "send", Conn: "a", Bytes: []byte{0xff}},
	}}, got[0])
	assert.Equal(t, []byte("5   \n"), got[0].Bytes("header"))
	assert.Nil(t, got[0].Bytes("frame"))

	for text, want := range map[string]string{
		"case: x\nheader":           "line 2: no colon",
		"header: 35":                `line 1: "header" before the first case`,
		"case: x\nheader: 3":        `line 2: "3" is not a byte`,
		"case: x\nheader: 0x35":     `line 2: "0x35" is not a byte`,
		"case: x\nheader: 35*-1":    `line 2: "-1" is not a count`,
		"case: x\n\nheader: 35*six": `line 3: "six" is not a count`,
	} {
		_, err := chatroomtest.ParseWire(text)
		assert.EqualError(t, err, want)
	}
	assert.PanicsWithValue(t, `chatroomtest: no wire examples "none"`, func() { chatroomtest.WireExamples("none") })
}

// The names of examples are unique in their file, and what belongs together is
// there.
func TestWireExamplesAreWhole(t *testing.T) {
	for file, words := range map[string][]string{
		"frames":        {"payload", "frame"},
		"accept":        {"header", "payload"},
		"reject":        {"header"},
		"limit":         {"header"},
		"conversations": {"join", "send", "want"},
	} {
		seen := map[string]bool{}
		for _, example := range chatroomtest.WireExamples(file) {
			assert.False(t, seen[example.Name], "%s: %s is there twice", file, example.Name)
			seen[example.Name] = true
			for _, word := range words {
				assert.NotNil(t, example.Bytes(word), "%s: %s has no %s", file, example.Name, word)
			}
		}
		assert.NotEmpty(t, seen)
	}
}

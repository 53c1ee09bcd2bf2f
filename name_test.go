package chatroom_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/chatroom"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"alice", "a", "Jürgen", "Ju\u0308rgen", "李雷", "O'Neill", "two words", strings.Repeat("x", 64),
		"नमस्ते", "שָׁלוֹם", "Tiếng Việt", "👩‍👩‍👧‍👦", "👍🏽", "❤️", "❤️‍🔥", "1️⃣", "#️⃣", "🏳️‍🌈", "🇩🇪", "🙂 smiles", "🙂\u200d↔\ufe0f", "ℹ\ufe0f", "ann⤴\ufe0f",
	} {
		assert.NoError(t, chatroom.CheckName(name), "%q", name)
	}
	for name, want := range map[string]string{
		"":                          "empty",
		strings.Repeat("x", 65):     "65 bytes, the limit is 64",
		"\xff":                      "UTF-8",
		"a\nb":                      "control character",
		"a\x1b[31mb":                "control character",
		" host":                     "white space",
		"host ":                     "white space",
		"host\u00a0":                "white space",
		"host\u3000":                "white space",
		"\u202etsoh":                "not seen",
		"ho\u200bst":                "not seen",
		"ho\u00adst":                "not seen",
		"host\u200d":                "not seen",
		"ho\u200dst":                "not seen",
		"\ufeffhost":                "not seen",
		"a\u2028b":                  "not seen",
		"a\u2029b":                  "not seen",
		"host\ufe0f":                "not seen",
		"host\u034f":                "not seen",
		"host\u3164":                "not seen",
		"host\uffa0":                "not seen",
		"host\u2800":                "not seen",
		"host\u17b4":                "not seen",
		"host\u115f":                "not seen",
		"host\U000e0100":            "not seen",
		"host\U000e0041":            "not seen",
		"host\U0001d159":            "not seen",
		"\ue000":                    "not known",
		"\U000f0000":                "not known",
		"\u0378":                    "not known",
		"a\u0301\u0301\u0301\u0301": "combining marks",
		"🙂\u200dhost":               "not seen",
		"1\ufe0f":                   "not seen",
		"👩\u200d\ufffd":             "not seen",
	} {
		assert.ErrorContains(t, chatroom.CheckName(name), want, "%q", name)
	}
}

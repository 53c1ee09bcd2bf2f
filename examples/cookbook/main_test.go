package cookbook_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var declared = regexp.MustCompile(`(?m)^(func|type) .*$`)

// TestPage holds docs/cookbook.md against this package: all Go on the page is here, and
// all recipes are on the page.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/cookbook.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var sources strings.Builder
	var recipes []string
	for _, file := range files {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		sources.WriteString(strings.ReplaceAll(string(src), "\r\n", "\n"))
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		recipes = append(recipes, declared.FindAllString(string(src), -1)...)
	}
	blocks := strings.Split(strings.ReplaceAll(string(page), "\r\n", "\n"), "```go\n")[1:]
	for _, block := range blocks {
		code, _, closed := strings.Cut(block, "```")
		require.True(t, closed, "a block has no end")
		if !strings.Contains(sources.String(), code) {
			t.Errorf("on the page, and not in the package:\n%s", code)
		}
	}
	for _, recipe := range recipes {
		if !strings.Contains(strings.Join(blocks, ""), recipe) {
			t.Errorf("in the package, and not on the page: %s", recipe)
		}
	}
}

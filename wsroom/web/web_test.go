package web_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/chatroom/wsroom/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get asks the handler for path, with headers in pairs of name and value.
func get(method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w
}

func TestHandlerServesTheFiles(t *testing.T) {
	for path, want := range map[string]string{
		"/":              "text/html; charset=utf-8",
		"/style.css":     "text/css; charset=utf-8",
		"/chatroom.js":   "text/javascript; charset=utf-8",
		"/page.js":       "text/javascript; charset=utf-8",
		"/transcript.js": "text/javascript; charset=utf-8",
		"/visible.js":    "text/javascript; charset=utf-8",
		"/icon.svg":      "image/svg+xml",
	} {
		w := get(http.MethodGet, path)
		assert.Equal(t, http.StatusOK, w.Code, path)
		assert.Equal(t, want, w.Header().Get("Content-Type"), path)
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), path)
		assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'", path)
		assert.NotEmpty(t, w.Body.Bytes(), path)

		w = get(http.MethodGet, path, "If-None-Match", w.Header().Get("ETag"))
		assert.Equal(t, http.StatusNotModified, w.Code, path)
		assert.Empty(t, w.Body.Bytes(), path)
	}
}

func TestHandlerRefusesTheRest(t *testing.T) {
	for _, path := range []string{"/ws", "/static/", "/static/page.js", "/../web.go", "/page.js/", "/nothing"} {
		assert.Equal(t, http.StatusNotFound, get(http.MethodGet, path).Code, path)
	}
	w := get(http.MethodPost, "/")
	assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
	assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	assert.Equal(t, http.StatusOK, get(http.MethodHead, "/page.js").Code)
}

// The policy allows nothing inline, and browsers only say so on their consoles.
func TestNothingIsInline(t *testing.T) {
	html, err := fs.ReadFile(web.FS(), "index.html")
	require.NoError(t, err)
	assert.NotRegexp(t, `(?i)<style|\bstyle=|\bon[a-z]+=|<script[^>]*>[^<]|javascript:`, string(html))
}

// The modules that need no page are tested under Node.js, and by package browsertest in
// a browser.
func TestModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed; package browsertest runs the same tests in a browser")
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, web.FS()))
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "wire"), os.DirFS("../../chatroomtest/wire")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type": "module"}`), 0o600))
	cmd := exec.CommandContext(t.Context(), node, "node.js")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}

// Package web is the chat room's page: one HTML file, one stylesheet and a few ES
// modules, embedded, without a framework and without a build step.
//
// The page opens the socket at "ws", or for a room at "ws/ROOM", relative to its own
// address. So a host serves it beside the handler of package wsroom, at the root or
// anywhere else:
//
//	mux.Handle("/", web.Handler())
//	mux.Handle("/ws", socket)
//	mux.Handle("/ws/", socket)
//
// A link to the page with ?room=ROOM leads to that room. The module chatroom.js, which
// does not know of the page, may be used alone: its comments say how.
package web

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
)

//go:embed static
var static embed.FS

// policy lets the page load what is served beside it, and nothing else. Trusted types
// keep scripts from turning any text into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

// types has the content types of the files by their endings. Those that the system
// knows can be others.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// FS returns the page's files, for hosts that serve them in another way.
func FS() fs.FS {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the name is a constant
	}
	return files
}

// Handler returns a handler that serves the page at "/" and its files beside it. All
// other paths are not found. To serve the page elsewhere, wrap the handler in
// [http.StripPrefix]; the page's address must then end in a slash.
//
// Browsers ask each time whether a file has changed, and are sent it only then. The
// content security policy allows the page nothing but its own host.
func Handler() http.Handler {
	files := FS()
	tags := make(map[string]string) // by the paths that there are
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		tags["/"+name] = fmt.Sprintf(`"%x"`, sha256.Sum256(content))
		return nil
	})
	if err != nil {
		panic(err) // they are in the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		if name == "/" || name == "" {
			name = "/index.html"
		}
		tag, ok := tags[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", types[path.Ext(name)])
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		http.ServeFileFS(w, r, files, name[1:])
	})
}

package browsertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A proxy is a program that passes on to a room, as the documentation configures it.
type proxy struct {
	name   string
	args   []string                                        // before the file
	config func(documented, dir, port, room string) string // what the file says
}

var proxies = []proxy{
	{
		name: "nginx",
		args: []string{"-g", "daemon off;", "-c"},
		config: func(documented, dir, port, room string) string {
			server := strings.NewReplacer(
				"listen 443 ssl;", "listen 127.0.0.1:"+port+" ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;",
				"http://127.0.0.1:8080", "http://"+room,
			).Replace(documented)
			return fmt.Sprintf("pid %[1]s/pid; error_log %[1]s/log; events {}\nhttp { access_log off;\n"+
				"client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;\n"+
				"uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;\n%[2]s}\n", dir, server)
		},
	},
	{
		name: "caddy",
		args: []string{"run", "--adapter", "caddyfile", "--config"},
		config: func(documented, dir, port, room string) string {
			site := strings.NewReplacer(
				"example.com {", "https://127.0.0.1:"+port+" {\n    bind 127.0.0.1\n    tls cert.pem key.pem",
				"127.0.0.1:8080", room,
			).Replace(documented)
			return "{\n    admin off\n    auto_https off\n}\n" + site
		},
	},
}

// start runs the proxy in front of a room, and returns the address of the page.
func (p proxy) start(t *testing.T, room string) (url string) {
	t.Helper()
	path, err := exec.LookPath(p.name)
	if err != nil {
		t.Skip(p.name + " is not installed")
	}
	dir := t.TempDir()
	writeCertificate(t, dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	file := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(file, []byte(p.config(documented(t, p.name), dir, port, room)), 0o600))

	cmd := exec.Command(path, append(p.args, file)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	output := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(timeout):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(timeout); ; { // it does not say when it listens
		nc, err := net.Dial("tcp", address)
		if err == nil {
			require.NoError(t, nc.Close())
			return "https://" + address + "/"
		}
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			require.FailNow(t, p.name+" has ended", "%s%s", output, log)
		case <-time.After(10 * time.Millisecond):
		}
		require.True(t, time.Now().Before(deadline), "%s does not listen", p.name)
	}
}

// documented returns the configuration of a proxy that the documentation shows.
func documented(t testing.TB, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/web.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "```"+name+"\n")
	require.True(t, ok, "nothing about %s", name)
	config, _, _ := strings.Cut(rest, "```")
	return config
}

// writeCertificate writes a certificate of its own authority, and its key.
func writeCertificate(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

// testProxies has a browser join behind each proxy, speak, be thrown out with a reason, and
// find the proxy gone.
func testProxies(t *testing.T, b *browser) {
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			r := newTestRoom(t)
			url := proxy.start(t, r.web.Listener.Addr().String())
			p := newTab(t, b, url+"?room=garden")
			p.enter(r, "alice")
			member := r.server.Members()[0]
			assert.Equal(t, "garden", member.Room().Name())
			require.NoError(t, member.Room().Broadcast(t.Context(), "host", []byte("hello")))
			p.wantLast("host", "hello")
			long := strings.Repeat("é", 1<<19)
			require.NoError(t, member.Send(context.Background(), "host", []byte(long)))
			p.want(`[...document.querySelectorAll(".message")].at(-1).textContent.includes("é".repeat(100))`)
			member.Kick(errors.New("please be kind"))
			p.want(`document.getElementById("status").textContent.includes("please be kind")`)
		})
	}
}

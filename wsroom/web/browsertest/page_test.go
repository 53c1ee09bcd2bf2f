package browsertest

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/chatroom"
)

// TestPage shares a browser, because it takes a second to start.
func TestPage(t *testing.T) {
	b := newBrowser(t)
	for name, test := range map[string]func(t *testing.T, b *browser){
		"modules":      testModules,
		"conversation": testConversation,
		"rooms":        testRooms,
		"refusal":      testRefusal,
		"kick":         testKick,
		"gone":         testGoneAndBack,
		"too long":     testTooLong,
		"flood":        testFlood,
		"scrolling":    testScrolling,
		"unread":       testUnread,
		"hostile":      testHostile,
		"narrow":       testNarrow,
		"keyboard":     testKeyboard,
		"axe":          testAccessibility,
		"proxies":      testProxies,
		"program":      testProgram,
		"screenshots":  testScreenshots,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func testModules(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	results := eval[[]struct{ Name, Error string }](p, `import("/unit/unit.js").then((m) =>
		m.run((name) => fetch("/unit/" + name).then((response) => response.text())))`)
	assert.NotEmpty(t, results)
	for _, result := range results {
		assert.Empty(t, result.Error, result.Name)
	}
}

func testConversation(t *testing.T, b *browser) {
	r := newTestRoom(t)
	alice, bob := newTab(t, b, r.url), newTab(t, b, r.url)
	alice.enter(r, "alice")
	bob.enter(r, "Bøb 🦀")
	carol := r.dial("carol")
	pyt := newPython(t, r, "Jürgen")

	alice.say("hello <everyone>")
	alice.wantLast("alice", "hello <everyone>")
	bob.wantLast("alice", "hello <everyone>")
	assert.Equal(t, "alice > hello <everyone>", r.receive(carol))
	assert.Equal(t, "alice > hello <everyone>", pyt.line(""))

	bob.say("grüß dich, 世界 👋")
	alice.wantLast("Bøb 🦀", "grüß dich, 世界 👋")
	assert.Equal(t, "Bøb 🦀 > grüß dich, 世界 👋", r.receive(carol))
	assert.Equal(t, "Bøb 🦀 > grüß dich, 世界 👋", pyt.line(""))

	require.NoError(t, carol.Send(t.Context(), []byte("two\nlines")))
	alice.wantLast("carol", "two\nlines")
	bob.wantLast("carol", "two\nlines")
	assert.Equal(t, "carol > two", pyt.line(""))
	assert.Equal(t, "lines", pyt.line(""))

	pyt.say("so says Python")
	alice.wantLast("Jürgen", "so says Python")
	bob.wantLast("Jürgen", "so says Python")

	assert.Equal(t, []string{"alice"}, eval[[]string](alice, `[...document.querySelectorAll(".mine .name")].map((e) => e.textContent)`))
	assert.Equal(t,
		eval[string](alice, `getComputedStyle(document.querySelector(".message:not(.mine) .name")).color`),
		eval[string](bob, `getComputedStyle(document.querySelector(".mine .name")).color`), "a name's colour")
}

// newPython joins with the tutorials' client.
func newPython(t testing.TB, r *testRoom, name string) *process {
	t.Helper()
	host, port, err := net.SplitHostPort(r.tcp.Addr().String())
	require.NoError(t, err)
	p := startPython(t, host, port, name)
	r.waitJoined(1)
	return p
}

func testRooms(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url+"?room=gar%C3%A7ons%20%26%20co")
	assert.Equal(t, "garçons & co", eval[string](p, `document.getElementById("room").value`))
	p.enter(r, "alice")
	assert.Equal(t, "garçons & co", r.server.Members()[0].Room().Name())
	assert.Equal(t, "garçons & co · Chat room", eval[string](p, `document.title`))
	p.run(chromedp.Click(chromedp.CSS("#leave")))
	p.want(`document.activeElement.id === "name"`)
	assert.NoError(t, <-r.left, "a goodbye")

	p.fill("room", "")
	p.enter(r, "alice")
	assert.Empty(t, r.server.Members()[0].Room().Name())
	assert.Equal(t, r.url, eval[string](p, `location.href`))
}

func testRefusal(t *testing.T, b *browser) {
	r := newTestRoom(t, chatroom.WithUniqueNames())
	r.dial("alice")
	p := newTab(t, b, r.url)
	p.join("alice")
	p.want(`document.getElementById("refused").textContent.includes("name taken")`)
	assert.Equal(t, "name", eval[string](p, `document.activeElement.id`))
	p.enter(r, "alice2")
	assert.Empty(t, eval[string](p, `document.getElementById("banner").hidden ? "" : "a banner"`))
}

func testKick(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.enter(r, "alice")
	p.say("something rude")
	r.server.Members()[0].Kick(errors.New("please be kind"))
	p.want(`document.getElementById("status").textContent.includes("please be kind")`)
	assert.True(t, eval[bool](p, `document.getElementById("send").disabled`))
	p.wantLast("alice", "something rude")
	p.run(chromedp.Click(chromedp.CSS("#again")))
	r.waitJoined(1)
	p.want(`document.getElementById("banner").hidden && !document.getElementById("send").disabled`)
	r.say("host", "welcome back")
	p.wantLast("host", "welcome back")
}

func testGoneAndBack(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.allows = true // it says that it could not connect
	p.enter(r, "alice")
	r.say("host", "before")
	p.wantLast("host", "before")
	r.stop()
	p.want(`document.getElementById("status").textContent === "Not connected. Trying again…"`)
	p.run(chromedp.SendKeys(chromedp.CSS("#text"), "a draft"), pressEnter(kb.ModifierNone))
	assert.Equal(t, "a draft", eval[string](p, `document.getElementById("text").value`), "nothing is sent")
	r.start(r.web.Listener.Addr().String())
	r.waitJoined(1)
	p.want(`document.getElementById("banner").hidden && document.querySelector(".note")`)
	r.say("host", "after")
	p.wantLast("host", "after")
	c := r.dial("carol")
	p.run(chromedp.Focus(chromedp.CSS("#text")), pressEnter(kb.ModifierNone))
	assert.Equal(t, "alice > a draft", r.receive(c))
}

func testTooLong(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.enter(r, "alice")
	c := r.dial("carol")
	p.fill("text", strings.Repeat("é", 1<<19)+"x")
	p.run(chromedp.Click(chromedp.CSS("#send")))
	p.want(`document.getElementById("hint").textContent.includes("too long")`)
	p.fill("text", strings.Repeat("é", 1<<19))
	p.run(chromedp.Click(chromedp.CSS("#send")))
	p.want(`document.getElementById("text").value === ""`)
	assert.Len(t, r.receive(c), len("alice > ")+1<<20)
}

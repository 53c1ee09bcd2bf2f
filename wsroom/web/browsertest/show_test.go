package browsertest

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var screenshots = flag.String("screenshots", "", "the `folder` to which the README's screenshots are written")

// atEnd is whether the reader sees the end of the talk.
const atEnd = `(({ scrollTop, scrollHeight, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)(document.getElementById("scroller"))`

func testFlood(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.enter(r, "alice")
	began := time.Now()
	for i := range 10_000 {
		r.say(fmt.Sprint("member ", i%17), fmt.Sprint("message ", i, strings.Repeat(" and more", i%40)))
	}
	r.say("host", "the last")
	p.wantLast("host", "the last")
	t.Logf("10,000 messages in %v", time.Since(began))
	assert.True(t, eval[bool](p, atEnd), "at the end")
	assert.LessOrEqual(t, eval[int](p, `document.querySelectorAll(".message").length`), 3000)
	p.say("still here")
	p.wantLast("alice", "still here")
	t.Logf("a frame after another message: %v ms", eval[float64](p, `new Promise((resolve) => {
		const began = performance.now();
		document.getElementById("messages").lastElementChild.after(document.createElement("p"));
		document.getElementById("scroller").getBoundingClientRect();
		resolve(performance.now() - began);
	})`))
}

func testScrolling(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.enter(r, "alice")
	for i := range 100 {
		r.say("bob", fmt.Sprint("message ", i))
	}
	p.wantLast("bob", "message 99")
	p.want(atEnd)
	// Not by a key, whose way takes the browser a while.
	eval[bool](p, `new Promise((resolve) => {
		const scroller = document.getElementById("scroller");
		scroller.addEventListener("scroll", () => resolve(true), { once: true });
		scroller.scrollTop = 1000;
	})`)
	r.say("carol", "news")
	p.want(`document.getElementById("latest").textContent === "1 new message"`)
	r.say("carol", "more news")
	p.want(`document.getElementById("latest").textContent === "2 new messages"`)
	assert.InDelta(t, 1000, eval[float64](p, `document.getElementById("scroller").scrollTop`), 0, "the reader's place")
	p.run(chromedp.Click(chromedp.CSS("#latest")))
	p.want(atEnd)
	p.want(`document.getElementById("latest").hidden`)
	r.say("carol", "the last")
	p.wantLast("carol", "the last")
	p.want(atEnd)
}

func testUnread(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.enter(r, "alice")
	r.say("bob", "seen")
	p.wantLast("bob", "seen")
	assert.Equal(t, "Chat room", eval[string](p, `document.title`))
	// A page cannot be sent to the background here: it is told so.
	eval[chromedp.Void](p, `Object.defineProperty(document, "hidden", { value: true, configurable: true }),
		document.dispatchEvent(new Event("visibilitychange"))`)
	r.say("bob", "one")
	r.say("bob", "two")
	p.want(`document.title === "(2) Chat room"`)
	p.wantLast("bob", "two")
	eval[chromedp.Void](p, `delete document.hidden, document.dispatchEvent(new Event("visibilitychange"))`)
	p.want(`document.title === "Chat room"`)
}

func testHostile(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.enter(r, "alice")
	for _, test := range []struct{ text, shown string }{
		{`<img src=x onerror=alert(1)><script>alert(2)</script>`, ""},
		{`</p></div><h1>&amp;`, ""},
		{"javascript:alert(1) https://example.com/", ""},
		{"\u202egnp.exe", `\u202egnp.exe`},
		{"a\u2066b\u0000c\x1b[2J", `a\u2066b\x00c\x1b[2J`},
		{"\xff\xfe", "\ufffd\ufffd"},
		{"\u05e9\u05dc\u05d5\u05dd 123", ""},
		{"Z" + strings.Repeat("\u0301\u0489", 300), ""},
	} {
		shown := test.shown
		if shown == "" {
			shown = test.text
		}
		r.say("eve", test.text)
		p.wantLast("eve", shown)
	}
	for name, shown := range map[string]string{
		"<b>bob</b>":             "<b>bob</b>",
		"\u202ebob":              `\u202ebob`,
		"bob\n12:00 carol":       `bob\n12:00 carol`,
		" bob":                   `\x20bob`,
		"\x00":                   `\x00`,
		"":                       `""`,
		strings.Repeat("x", 999): strings.Repeat("x", 200) + "…",
	} {
		r.say(name, "name")
		p.wantLast(shown, "name")
	}
	for _, long := range []string{strings.Repeat("x", 1<<20), strings.Repeat("word ", 200_000), strings.Repeat("\n", 1<<20)} {
		r.say("eve", long)
		p.want(`[...document.querySelectorAll(".message")].at(-1).querySelector(".more")`)
		assert.Less(t, eval[int](p, `[...document.querySelectorAll(".text")].at(-1).textContent.length`), 5000)
		r.say("eve", "after it")
		p.wantLast("eve", "after it")
	}
	p.run(chromedp.Evaluate[chromedp.Void](`document.querySelector(".more").click()`))
	assert.Equal(t, 1<<20, eval[int](p, `Math.max(...[...document.querySelectorAll(".text")].map((e) => e.textContent.length))`))
	assert.Zero(t, eval[int](p, `document.querySelectorAll("#messages :not(div, p, bdi, time, button)").length`), "markup")
}

func testNarrow(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	p.run(chromedp.EmulateViewport(320, 568, chromedp.EmulateMobile))
	const wide = `[document.documentElement, ...document.querySelectorAll("#scroller, button, input, textarea, .message, .bar, .banner")].filter((e) => {
		const { left, right } = e.getBoundingClientRect();
		return left < 0 || right > innerWidth || e.matches("html, #scroller") && e.scrollWidth > e.clientWidth;
	}).map((e) => e.outerHTML.slice(0, 100)).concat(innerWidth > 320 ? ["the window: " + innerWidth] : [])`
	assert.Empty(t, eval[[]string](p, wide), "the entrance")
	p.enter(r, strings.Repeat("W", 64))
	r.say(strings.Repeat("M", 64), strings.Repeat("x", 500))
	r.say("bob", "https://example.com/"+strings.Repeat("long/", 50))
	p.say(strings.Repeat("y", 300))
	assert.Empty(t, eval[[]string](p, wide), "the room")
	r.server.Members()[0].Kick(fmt.Errorf("for %s", strings.Repeat("z", 60)))
	p.want(`!document.getElementById("banner").hidden`)
	assert.Empty(t, eval[[]string](p, wide), "the banner")
}

func testKeyboard(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	c := r.dial("carol")
	focused := func() string { return eval[string](p, `document.activeElement.id`) }
	p.run(chromedp.KeyEvent("alice"), pressEnter(kb.ModifierNone))
	r.waitJoined(1)
	p.want(`!document.getElementById("send").disabled`)
	require.Equal(t, "text", focused())
	p.run(chromedp.KeyEvent("one"), pressEnter(kb.ModifierShift), chromedp.KeyEvent("two"), pressEnter(kb.ModifierNone))
	assert.Equal(t, "alice > one\ntwo", r.receive(c))
	assert.Equal(t, "text", focused())
	p.run(chromedp.KeyEvent("three"), chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "send", focused())
	p.run(chromedp.KeyEvent(" "))
	assert.Equal(t, "alice > three", r.receive(c))
	assert.Equal(t, "text", focused(), "ready for the next")
	p.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)))
	assert.Equal(t, "scroller", focused())
	assert.NotEqual(t, "none", eval[string](p, `getComputedStyle(document.activeElement).outlineStyle`), "focus is seen")
	p.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)))
	assert.Equal(t, "leave", focused())
	p.run(pressEnter(kb.ModifierNone))
	p.want(`document.activeElement.id === "name"`)
}

// dark has the page in the dark colours or the light ones.
func dark(on bool) chromedp.Action[chromedp.Void] {
	value := "light"
	if on {
		value = "dark"
	}
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
		})
		return err
	})
}

func testAccessibility(t *testing.T, b *browser) {
	file, err := os.Open("testdata/axe-core/axe.min.js.gz")
	require.NoError(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	axe, err := io.ReadAll(unzipped)
	require.NoError(t, err)

	r := newTestRoom(t)
	p := newTab(t, b, r.url)
	check := func(what string) {
		t.Helper()
		for _, on := range []bool{false, true} {
			p.run(dark(on), chromedp.Evaluate[chromedp.Void](string(axe)))
			found := eval[[]string](p, `axe.run().then(({ violations }) =>
				violations.map(({ id, impact, nodes }) => id + " " + impact + ": " + nodes.map((n) => n.html + " " + n.failureSummary).join("\n")))`)
			assert.Empty(t, found, "%s, dark: %v", what, on)
		}
	}
	check("the entrance")
	p.enter(r, "alice")
	for i := range 60 {
		r.say(fmt.Sprint("member ", i), "Text of a member, whose name has one of 24 colours")
	}
	p.say("mine")
	p.wantLast("alice", "mine")
	check("the room")
	r.server.Members()[0].Kick(nil)
	p.want(`!document.getElementById("banner").hidden`)
	check("the banner")
}

func testScreenshots(t *testing.T, b *browser) {
	r := newTestRoom(t)
	p := newTab(t, b, r.url+"?room=garden")
	p.run(chromedp.EmulateViewport(760, 770, chromedp.EmulateScale(1.5)))
	p.enter(r, "alice")
	say := func(from, text string) {
		require.NoError(t, r.server.Room("garden").Broadcast(t.Context(), from, []byte(text)))
		p.wantLast(from, text)
	}
	say("Jürgen", "Good morning! Did the frost get your tomatoes?")
	say("Łucja", "Mine are still inside, the nights are too cold here.")
	p.say("Two of them. The rest made it under the fleece.")
	p.wantLast("alice", "Two of them. The rest made it under the fleece.")
	p.say("I have seedlings to spare, if anybody wants some.")
	p.wantLast("alice", "I have seedlings to spare, if anybody wants some.")
	say("Jürgen", "Yes, please. Three, if you can.")
	say("Zoë", "Count me in! What I have left to give:\n  – courgettes, yellow and striped\n  – far too much mint")
	say("Zoë", "…and a spade that nobody has come back for.")
	p.say("That is mine. Saturday at ten, by the gate?")
	p.wantLast("alice", "That is mine. Saturday at ten, by the gate?")
	for _, on := range []bool{false, true} {
		p.run(dark(on))
		result, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
		require.NoError(t, err)
		shot := result.Data
		assert.Less(t, len(shot), 150_000)
		if *screenshots != "" {
			name := map[bool]string{false: "browser-light.png", true: "browser-dark.png"}[on]
			require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name), shot, 0o600))
		}
	}
}

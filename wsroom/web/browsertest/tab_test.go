package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browsers are the programs that are tried, in this order.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// A browser runs until the test ends.
type browser struct{ ctx context.Context }

// newBrowser starts a browser, or skips the test if there is none.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	for _, name := range browsers {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.IgnoreCertErrors) // those of the proxies are their own
		ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
		t.Cleanup(cancel)
		ctx, cancel = chromedp.NewContext(ctx)
		t.Cleanup(cancel)
		require.NoError(t, chromedp.Do(ctx), "start %s", path)
		return &browser{ctx}
	}
	t.Skipf("no browser is installed; tried %v", browsers)
	return nil
}

// A tab is a page that a browser has open, with a memory of its own.
type tab struct {
	t      testing.TB
	ctx    context.Context
	allows bool // errors on the console are expected

	// mu guards the field below.
	mu     sync.Mutex
	errors []string // of the console
}

// newTab opens a page. At its end the test fails if the browser has complained.
func newTab(t testing.TB, b *browser, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			p.errors = append(p.errors, event.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if event.Entry.Level == log.EntryLevelError || event.Entry.Level == log.EntryLevelWarning {
				p.errors = append(p.errors, event.Entry.Text+" "+event.Entry.URL)
			}
		}
	}))
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.allows {
			assert.Empty(t, p.errors, "the browser's console")
		}
	})
	p.run(chromedp.EmulateViewport(1000, 700), chromedp.Navigate(url))
	p.want(`document.activeElement.id === "name"`)
	return p
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, actions...))
}

// eval returns the value of a JavaScript expression, after it is settled.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return value
}

// want waits until a JavaScript condition holds. It looks whenever the page changes.
func (p *tab) want(condition string) {
	p.t.Helper()
	expression := fmt.Sprintf(`new Promise((resolve) => {
		const holds = () => { try { return %s; } catch { return false; } };
		const done = (ok) => {
			observer.disconnect();
			removeEventListener("scroll", look, true);
			resolve(ok ? "" : document.body.innerText.slice(-500));
		};
		const look = () => { if (holds()) done(true); };
		const observer = new MutationObserver(look);
		document.addEventListener("input", look);
		observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		addEventListener("scroll", look, true);
		document.addEventListener("focusin", look);
		setTimeout(() => done(false), %d);
		look();
	})`, condition, timeout.Milliseconds()*2/3)
	if page := eval[string](p, expression); page != "" {
		require.FailNow(p.t, "it does not come true: "+condition, "the page ends in:\n%s", page)
	}
}

// quote returns s as a JavaScript string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings have no error
	}
	return string(b)
}

// wantLast waits until the last thing said is text from name.
func (p *tab) wantLast(name, text string) {
	p.t.Helper()
	p.want(fmt.Sprintf(`(() => {
		const last = [...document.querySelectorAll(".message")].at(-1);
		return last.querySelector(".name").textContent === %s && last.querySelector(".text").textContent === %s;
	})()`, quote(name), quote(text)))
}

// pressEnter presses the key as a keyboard does, in one event with the line end that it
// stands for; kb.Enter is two, of which a page cannot prevent the second.
func pressEnter(modifiers kb.Modifier) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
			event := input.DispatchKeyEventParams{
				Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, Modifiers: modifiers.Int64(),
			}
			if kind == input.DispatchKeyEventTypeKeyDown {
				event.Text = "\r"
			}
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, event); err != nil {
				return err
			}
		}
		return nil
	})
}

// fill sets the value of a field.
func (p *tab) fill(id, value string) {
	p.t.Helper()
	eval[chromedp.Void](p, fmt.Sprintf(`document.getElementById(%s).value = %s`, quote(id), quote(value)))
}

// join fills in the entrance. The caller waits for what comes of it.
func (p *tab) join(name string) {
	p.t.Helper()
	p.fill("name", name)
	p.run(chromedp.Focus(chromedp.CSS("#name")), pressEnter(kb.ModifierNone))
}

// enter joins a room and waits until the server lists the member.
func (p *tab) enter(r *testRoom, name string) {
	p.t.Helper()
	p.join(name)
	r.waitJoined(1)
	p.want(`!document.getElementById("send").disabled && document.activeElement.id === "text"`)
}

// say writes a message and sends it.
func (p *tab) say(text string) {
	p.t.Helper()
	p.run(chromedp.SendKeys(chromedp.CSS("#text"), text), pressEnter(kb.ModifierNone))
	p.want(`document.getElementById("text").value === ""`)
}

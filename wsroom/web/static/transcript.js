// transcript.js shows what is said in a room: the last few thousand messages, at the
// end of which it stays unless the reader has scrolled up.
import { visibleName, visibleText } from "./visible.js";

/** How much is kept. Beyond twice as much, what is oldest goes even while it is read. */
const maxEntries = 3000;
const maxLength = 16 << 20; // in characters of all texts

/** A text that is longer is shown up to here until the reader asks for the rest. */
const longText = 4000; // characters
const longLines = 40;

/** Messages of one sender within this time stand together under one name, in milliseconds. */
const togetherFor = 5 * 60_000;

/** How near the end, in pixels, counts as there. */
const nearEnd = 48;

const timeOfDay = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const wholeTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class Transcript {
  #scroller;
  #list;
  #latest; // the button that leads to the end
  #queue = []; // entries that are not in the page yet
  #scheduled = false;
  #entries = []; // {element, length}, the oldest first
  #length = 0; // of the texts of #entries and #queue
  #last = null; // the entry that was put into the page last
  #atEnd = true; // the reader wants to see the end
  #top = 0; // where the scroller was
  #news = 0; // messages that came while the reader was elsewhere

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} list within it
   * @param {HTMLButtonElement} latest
   */
  constructor(scroller, list, latest) {
    this.#scroller = scroller;
    this.#list = list;
    this.#latest = latest;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    latest.addEventListener("click", () => this.toEnd());
    document.addEventListener("visibilitychange", () => this.#flush());
    const resized = new ResizeObserver(() => this.#stay());
    resized.observe(list);
    resized.observe(scroller);
  }

  /** Reports whether nothing has been said. */
  get empty() {
    return this.#entries.length === 0 && this.#queue.length === 0;
  }

  /**
   * Adds a message, at the next frame. The returned entry can be marked as failed.
   * @param {string} from as it came
   * @param {string} text as it came
   * @param {boolean} mine
   */
  add(from, text, mine) {
    return this.#push({ from, text, mine, at: new Date(), length: text.length, failed: false, element: null });
  }

  /** Adds a line of the page's own. */
  note(text) {
    this.#push({ from: null, text, mine: false, at: new Date(), length: 0, failed: false, element: null });
  }

  /** Says that a message of one's own was not sent. */
  fail(entry) {
    entry.failed = true;
    entry.element?.append(element("p", "failed", "Not sent"));
  }

  clear() {
    this.#queue = [];
    this.#entries = [];
    this.#length = 0;
    this.#last = null;
    this.#list.replaceChildren();
    this.toEnd();
  }

  /** Shows the end, and stays there. */
  toEnd() {
    this.#atEnd = true;
    this.#stay();
    this.#trim();
    this.#tellNews(0);
  }

  #push(entry) {
    this.#queue.push(entry);
    this.#length += entry.length;
    while (this.#queue.length > 2 * maxEntries) {
      this.#length -= this.#queue.shift().length; // in a page that nobody sees
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      if (document.hidden) {
        setTimeout(() => this.#flush(), 250); // there are no frames
      } else {
        requestAnimationFrame(() => this.#flush());
      }
    }
    return entry;
  }

  #flush() {
    this.#scheduled = false;
    if (this.#queue.length === 0) {
      return;
    }
    const fragment = document.createDocumentFragment();
    let news = 0;
    for (const entry of this.#queue) {
      const shown = this.#show(entry, fragment);
      this.#entries.push({ element: shown, length: entry.length });
      this.#last = entry;
      news += entry.from !== null && !entry.mine ? 1 : 0;
      entry.text = null;
    }
    this.#queue = [];
    this.#list.append(fragment);
    this.#trim();
    this.#stay();
    if (!this.#atEnd) {
      this.#tellNews(this.#news + news);
    }
  }

  #show(entry, fragment) {
    const last = this.#last;
    const newDay = last?.at.toDateString() !== entry.at.toDateString();
    if (newDay) {
      const day = element("p", "day", dayOfYear.format(entry.at));
      this.#entries.push({ element: day, length: 0 });
      fragment.append(day);
    }
    if (entry.from === null) {
      const note = element("p", "note", entry.text);
      fragment.append(note);
      return note;
    }
    const shown = element("div", entry.mine ? "message mine" : "message");
    if (!newDay && last.from === entry.from && last.mine === entry.mine && entry.at - last.at < togetherFor) {
      shown.classList.add("follows");
    }
    const name = element("bdi", "name", cut(visibleName(entry.from), 200));
    name.style.setProperty("--hue", hue(entry.from));
    const time = element("time", "", timeOfDay.format(entry.at));
    time.dateTime = entry.at.toISOString();
    const head = element("p", "head");
    head.append(name, " ", time);
    shown.append(head, ...body(visibleText(entry.text)));
    shown.title = wholeTime.format(entry.at);
    entry.element = shown;
    if (entry.failed) {
      this.fail(entry);
    }
    fragment.append(shown);
    return shown;
  }

  #trim() {
    const times = this.#atEnd ? 1 : 2;
    let n = 0;
    while (n < this.#entries.length - 1 &&
      (this.#entries.length - n > times * maxEntries || this.#length > times * maxLength)) {
      this.#length -= this.#entries[n].length;
      this.#entries[n].element.remove();
      n++;
    }
    this.#entries.splice(0, n);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight < nearEnd) {
      if (!this.#atEnd) {
        this.#atEnd = true;
        this.#tellNews(0);
      }
    } else if (scrollTop < this.#top) { // further down is only what has grown since
      this.#atEnd = false;
    }
    this.#top = scrollTop;
  }

  #stay() {
    if (this.#atEnd) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
      this.#top = this.#scroller.scrollTop;
    }
  }

  #tellNews(n) {
    this.#news = n;
    this.#latest.hidden = n === 0;
    this.#latest.textContent = n === 1 ? "1 new message" : `${n} new messages`;
  }
}

function element(tag, className, text = "") {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = text;
  return e;
}

/** Returns what shows a text: all of it, or its beginning and a button for the rest. */
function body(text) {
  const shown = element("p", "text", beginning(text));
  shown.dir = "auto";
  if (shown.textContent.length === text.length) {
    return [shown];
  }
  const more = element("button", "quiet more", `Show all ${text.length.toLocaleString()} characters`);
  more.type = "button";
  more.addEventListener("click", () => {
    shown.textContent = text;
    shown.tabIndex = -1;
    shown.focus({ preventScroll: true });
    more.remove();
  }, { once: true });
  return [shown, more];
}

/** Returns the text, or the beginning of a long one. */
function beginning(text) {
  let end = 0;
  for (let lines = 0; lines < longLines && end >= 0 && end < longText; lines++) {
    end = text.indexOf("\n", end);
    end = end < 0 ? -1 : end + 1;
  }
  const lines = end < 0 || end >= longText ? text.length : end - 1;
  const most = Math.min(lines, longText);
  return text.length <= most + 200 && !text.slice(most).includes("\n") ? text : cut(text, most);
}

/** Returns at most n characters of s, without half a pair, and an ellipsis if any are missing. */
function cut(s, n) {
  if (s.length <= n) {
    return s;
  }
  return s.slice(0, n).replace(/[\ud800-\udbff]$/, "") + "…";
}

const encoder = new TextEncoder();

/** Returns the hue of a name, which is the same always and everywhere: one of 24, by FNV-1a. */
export function hue(name) {
  let h = 0x811c9dc5;
  for (const b of encoder.encode(name)) {
    h = Math.imul(h ^ b, 0x01000193);
  }
  return (h >>> 0) % 24 * 15;
}

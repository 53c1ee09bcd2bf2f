// page.js is what the page does with chatroom.js: it joins, shows and sends.
import { defaultMaxMessage, join } from "./chatroom.js";
import { Transcript } from "./transcript.js";
import { visibleName, visibleText } from "./visible.js";

const byID = (id) => document.getElementById(id);
const entrance = byID("entrance");
const chat = byID("chat");
const nameField = byID("name");
const roomField = byID("room");
const refused = byID("refused");
const banner = byID("banner");
const status = byID("status");
const again = byID("again");
const rename = byID("rename");
const text = byID("text");
const send = byID("send");
const hint = byID("hint");

const transcript = new Transcript(byID("scroller"), byID("messages"), byID("latest"));

/** @type {ReturnType<typeof join> | null} where this page is, or was last */
let room = null;
let place = ""; // the name of the room
let me = ""; // one's own name
let mine = []; // the last entries of one's own, for those that are not sent
let unread = 0; // messages since the page was last seen

/** The name is remembered for the next visit, where the browser allows that. */
const remembered = {
  get: () => {
    try {
      return localStorage.getItem("chatroom.name") ?? "";
    } catch {
      return "";
    }
  },
  set: (name) => {
    try {
      localStorage.setItem("chatroom.name", name);
    } catch {
      // It is asked for again.
    }
  },
};

function showEntrance(reason = "") {
  chat.hidden = true;
  entrance.hidden = false;
  refused.textContent = reason;
  tellUnread(0);
  nameField.focus();
  nameField.select();
}

function enter(name, newPlace) {
  room?.leave();
  if (newPlace !== place || name !== me) {
    transcript.clear();
  }
  place = newPlace;
  me = name;
  mine = [];
  byID("title").textContent = visible(place);
  byID("me").textContent = visibleName(name);
  entrance.hidden = true;
  chat.hidden = false;
  banner.hidden = true;
  tellUnread(0);
  text.focus();
  room = join({
    url: place ? `ws/${encodeURIComponent(place)}` : "ws",
    name,
    onMessage: receive,
    onState: tell,
  });
}

function receive({ from, text }) {
  transcript.add(from, text, false);
  if (document.hidden || !document.hasFocus()) {
    tellUnread(unread + 1);
  }
}

/** Tells the reader how the connection is. */
function tell(state) {
  send.disabled = state.phase !== "joined";
  for (const entry of mine.slice(mine.length - state.unsent)) {
    transcript.fail(entry);
  }
  switch (state.phase) {
    case "connecting":
      return;
    case "joined":
      mine = [];
      banner.hidden = true;
      if (state.attempt > 0) {
        transcript.note("Connected again. Messages from the time between may be missing, or shown twice.");
      }
      return;
    case "waiting":
      mine = [];
      showBanner("Not connected. Trying again…", "Try now", false);
      return;
  }
  mine = [];
  const reason = visibleText(state.reason) || `the connection was closed (${state.code})`;
  if (state.code === 1000 && chat.hidden) {
    return;
  }
  if (transcript.empty) {
    showEntrance(`You were not let in: ${reason}`);
    return;
  }
  showBanner(`You are no longer in the room: ${reason}`, "Join again", true);
}

function showBanner(words, choice, final) {
  banner.classList.toggle("final", final);
  again.textContent = choice;
  rename.hidden = !final;
  banner.hidden = false;
  if (status.textContent !== words) { // so that attempts are not read out
    status.textContent = words;
  }
}

function tellUnread(n) {
  unread = n;
  document.title = `${n > 0 ? `(${n}) ` : ""}${place && !chat.hidden ? `${visible(place)} · ` : ""}Chat room`;
}

/** Returns the name of a room as it may be shown; the room without a name has none. */
function visible(place) {
  return place && visibleName(place);
}

byID("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = nameField.value.trim();
  const newPlace = roomField.value.trim();
  if (name === "") {
    nameField.focus();
    return;
  }
  remembered.set(name);
  const here = new URL(location.href);
  here.searchParams.delete("room");
  if (newPlace) {
    here.searchParams.set("room", newPlace);
  }
  history.replaceState(null, "", here); // the address leads others to the same room
  enter(name, newPlace);
});

byID("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value;
  if (words.trim() === "") {
    return;
  }
  try {
    if (!room.send(words)) {
      hint.textContent = send.disabled ? "" : "The connection is too slow for more. Try again in a moment.";
      return;
    }
  } catch {
    hint.textContent = `This is too long: a message can have ${defaultMaxMessage.toLocaleString()} bytes.`;
    return;
  }
  hint.textContent = "";
  mine.push(transcript.add(me, words, true));
  mine = mine.slice(-1000);
  text.value = "";
  transcript.toEnd();
  text.focus();
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byID("composer").requestSubmit(send.disabled ? null : send);
  }
});
text.addEventListener("input", () => { hint.textContent = ""; });

again.addEventListener("click", () => {
  banner.hidden = true;
  room.rejoin();
  text.focus();
});
rename.addEventListener("click", () => showEntrance());
byID("leave").addEventListener("click", () => {
  showEntrance();
  room.leave();
});

function seen() {
  if (!document.hidden && document.hasFocus()) {
    tellUnread(0);
  }
}
document.addEventListener("visibilitychange", seen);
window.addEventListener("focus", seen);
window.addEventListener("online", () => {
  if (room?.state.phase === "waiting") {
    room.rejoin();
  }
});

nameField.value = remembered.get();
roomField.value = new URLSearchParams(location.search).get("room") ?? "";
showEntrance();

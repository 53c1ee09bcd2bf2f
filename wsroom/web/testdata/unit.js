// Tests of the modules that need no page. They run under Node.js and in browsers.
import { ProtocolError, FrameReader, backOff, decodeHeader, defaultMaxMessage, encodeFrame, join } from "./chatroom.js";
import { visibleName, visibleText } from "./visible.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const tests = {};

function equal(got, want, what = "") {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
  if (g !== w) {
    throw new Error(`${what} got ${g}, want ${w}`);
  }
}

function throws(f, type, what = "") {
  try {
    f();
  } catch (err) {
    if (err instanceof type) {
      return;
    }
    throw err;
  }
  throw new Error(`${what} did not throw`);
}

/** Returns the bytes that a line of the wire's examples describes. */
function bytesOf(words) {
  return Uint8Array.from(words.trim().split(/\s+/).filter(Boolean).flatMap((word) => {
    const [byte, times = "1"] = word.split("*");
    return new Array(Number(times)).fill(parseInt(byte, 16));
  }));
}

/** Returns the cases of a file of wire examples, each an object of its lines. */
function casesOf(file) {
  const cases = [];
  for (const line of file.split("\n").map((l) => l.replace(/#.*/, "").trim()).filter(Boolean)) {
    const [, word, rest] = /^([a-z]+)[^:]*:(.*)$/.exec(line);
    if (word === "case") {
      cases.push({ name: rest.trim() });
    } else {
      cases.at(-1)[word] = bytesOf(rest);
    }
  }
  return cases;
}

function readAll(chunks, limit = defaultMaxMessage) {
  const got = [];
  const reader = new FrameReader(limit, (payload) => got.push(decoder.decode(payload)));
  for (const chunk of chunks) {
    reader.write(chunk);
  }
  return got;
}

const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

tests["frames are those of the wire's examples"] = async (read) => {
  for (const { name, payload, frame } of casesOf(await read("frames.hex"))) {
    equal([...encodeFrame(payload)], [...frame], name);
    equal(readAll([frame]), [decoder.decode(payload)], name);
  }
};

tests["headers are read as the wire's examples say"] = async (read) => {
  for (const { name, header, payload } of casesOf(await read("accept.hex"))) {
    equal(decodeHeader(header, defaultMaxMessage), payload.length, name);
  }
  for (const file of ["reject.hex", "limit.hex"]) {
    for (const { name, header } of casesOf(await read(file))) {
      throws(() => decodeHeader(header, defaultMaxMessage), ProtocolError, name);
    }
  }
};

tests["a string is counted in bytes of UTF-8"] = () => {
  equal(decoder.decode(encodeFrame("grüß 👋")), "11        grüß 👋");
  equal(decoder.decode(encodeFrame("")), "0         ");
};

tests["frames may be cut at each byte"] = () => {
  const want = ["alice", "", "grüß dich, 世界 👋", "x".repeat(300), "\ufefflast"];
  const stream = concat(...want.map(encodeFrame));
  const plain = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let cut = 0; cut <= stream.length; cut++) {
    const got = [];
    const reader = new FrameReader(1000, (payload) => got.push(plain.decode(payload)));
    reader.write(stream.subarray(0, cut));
    reader.write(stream.subarray(cut));
    equal(got, want, `cut at ${cut}:`);
  }
  for (const size of [1, 2, 3, 7, 11, 64]) {
    const chunks = [];
    for (let i = 0; i < stream.length; i += size) {
      chunks.push(stream.subarray(i, i + size));
    }
    equal(readAll(chunks).length, want.length, `in pieces of ${size}:`);
  }
};

tests["a whole mebibyte in small pieces"] = () => {
  const frame = encodeFrame("y".repeat(1 << 20));
  const chunks = [];
  for (let i = 0; i < frame.length; i += 1000) {
    chunks.push(frame.subarray(i, i + 1000));
  }
  equal(readAll(chunks).map((s) => s.length), [1 << 20]);
};

tests["frames before a bad header are read, and none after it"] = () => {
  const got = [];
  const reader = new FrameReader(10, (payload) => got.push(decoder.decode(payload)));
  const stream = concat(encodeFrame("good"), encoder.encode("+1        x"), encodeFrame("late"));
  throws(() => reader.write(stream), ProtocolError);
  throws(() => reader.write(encodeFrame("later")), ProtocolError);
  equal(got, ["good"]);
};

tests["the limit is the last length that is read"] = () => {
  equal(readAll([encodeFrame("12345")], 5), ["12345"]);
  throws(() => readAll([encoder.encode("6         ")], 5), ProtocolError);
  throws(() => readAll([encoder.encode("99999"), encoder.encode("99999")], 5), ProtocolError);
};

tests["back-off grows, and the server's decision is final"] = () => {
  for (const code of [1000, 1002, 1008, 1009, 4000]) {
    equal(backOff(1, { code }), null, code);
  }
  for (let attempt = 1; attempt < 2000; attempt++) {
    const wait = backOff(attempt, { code: 1006 });
    const most = Math.min(30_000, 500 * 2 ** (attempt - 1));
    if (!(wait >= 0 && wait <= most)) {
      throw new Error(`attempt ${attempt} waits ${wait} ms of ${most}`);
    }
  }
};

/** A WebSocket of which the test is the other end. */
class FakeSocket {
  static last;
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  constructor(url) {
    this.url = url;
    FakeSocket.last = this;
  }
  send(bytes) {
    this.sent.push(decoder.decode(bytes));
    this.bufferedAmount += bytes.length;
  }
  close(code, reason = "") {
    this.readyState = 2;
    this.closed = { code, reason };
  }
  open() {
    this.readyState = 1;
    this.onopen();
  }
  receive(...texts) {
    this.onmessage({ data: concat(...texts.map(encodeFrame)).buffer });
  }
  end(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
}

function joinFake(options = {}) {
  const said = [];
  const phases = [];
  const room = join({
    url: "http://host.example/ws#x", name: "åsa", WebSocket: FakeSocket,
    onMessage: ({ from, text }) => said.push(`${from} > ${text}`),
    onState: ({ phase }) => phases.push(phase),
    ...options,
  });
  return { room, said, phases };
}

tests["it joins, says and hears"] = () => {
  const { room, said, phases } = joinFake();
  const socket = FakeSocket.last;
  equal(socket.url, "ws://host.example/ws");
  equal(room.send("early"), false);
  socket.open();
  equal(room.send("héllo"), true);
  equal(socket.sent, ["4         åsa", "6         héllo"]);
  socket.receive("bob", "hi", "carol", "");
  socket.receive("bob");
  socket.receive("\ufeffagain");
  equal(said, ["bob > hi", "carol > ", "bob > \ufeffagain"]);
  throws(() => room.send("ä".repeat((1 << 19) + 1)), RangeError);
  room.leave();
  equal(socket.closed.code, 1000);
  equal(phases, ["connecting", "joined", "left"]);
  socket.receive("bob", "late");
  socket.end(1000);
  equal(said.length, 3);
  equal(phases.length, 3);
};

tests["it connects again, and tells what was not sent"] = async () => {
  let again;
  const waited = new Promise((resolve) => { again = resolve; });
  const ends = [];
  const { room, phases, said } = joinFake({
    reconnect: (attempt, { code }) => {
      ends.push([attempt, code]);
      setTimeout(again, 5);
      return 0;
    },
  });
  const first = FakeSocket.last;
  first.open();
  room.send("zero");
  first.bufferedAmount = 0; // the browser has sent it
  room.send("one");
  room.send("two");
  first.receive("bob"); // its message never comes
  first.end(1006);
  equal(room.state.unsent, 2);
  equal(room.send("between"), false);
  await waited;
  const second = FakeSocket.last;
  if (second === first) {
    throw new Error("no second connection");
  }
  second.end(1006);
  room.rejoin();
  FakeSocket.last.open();
  FakeSocket.last.receive("carol", "hello");
  equal(said, ["carol > hello"]);
  equal(room.state.attempt, 2);
  equal(ends, [[1, 1006], [2, 1006]]);
  equal(phases, ["connecting", "joined", "waiting", "connecting", "waiting", "connecting", "joined"]);
  room.leave();
};

tests["a refusal is final, and tells why"] = () => {
  const { room } = joinFake();
  FakeSocket.last.open();
  FakeSocket.last.end(1008, "name taken");
  equal([room.state.phase, room.state.code, room.state.reason], ["left", 1008, "name taken"]);
  room.rejoin();
  equal(room.state.phase, "connecting");
  room.leave();
};

tests["a server that breaks the protocol is left"] = () => {
  for (const data of ["text", encoder.encode("-1        ").buffer]) {
    const { room } = joinFake();
    const socket = FakeSocket.last;
    socket.open();
    socket.onmessage({ data });
    equal([room.state.phase, room.state.code, socket.closed.code], ["left", 4002, 4002]);
  }
};

tests["texts show what is not seen"] = () => {
  for (const [text, want] of [
    ["plain <b>text</b>\\n", "plain <b>text</b>\\n"],
    ["two\r\nlines\tand a tab", "two\nlines\tand a tab"],
    ["\u202egnp.exe", "\\u202egnp.exe"],
    ["a\u200bb\u0000\u001b[31m\r", "a\\u200bb\\x00\\x1b[31m\\r"],
    ["می\u200cخواهم", "می\u200cخواهم"],
    ["a\u200cb", "a\\u200cb"],
    ["👩\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3", "👩\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3"],
    ["\u{e0041}\ue000\ud800", "\\U000e0041\\ue000\\ud800"],
    ["\ufffd", "\ufffd"],
  ]) {
    equal(visibleText(text), want);
  }
};

tests["names that differ look different"] = () => {
  for (const [name, want] of [
    ["Åsa Öberg", "Åsa Öberg"],
    ["", '""'],
    [" bob  ", "\\x20bob\\x20\\x20"],
    ["bob\nadmin", "bob\\nadmin"],
    ["b\u2800b\u00a0b\u200db", "b\\u2800b\\u00a0b\\u200db"],
    ["می\u200cخ", "می\\u200cخ"],
    ["👩\u200d🚀", "👩\u200d🚀"],
    ["z\u0301\u0301\u0301\u0301", "z\u0301\u0301\u0301\\u0301"],
  ]) {
    equal(visibleName(name), want);
  }
};

/**
 * Runs all tests and returns their results.
 * @param {(file: string) => Promise<string>} read returns a file of the wire's examples
 */
export async function run(read) {
  const results = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test(read);
      results.push({ name, error: "" });
    } catch (err) {
      results.push({ name, error: String(err) });
    }
  }
  return results;
}

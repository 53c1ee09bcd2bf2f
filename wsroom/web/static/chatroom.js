// chatroom.js joins a chat room over WebSocket. It needs nothing else, and no build step:
//
//     import { join } from "./chatroom.js";
//
//     const room = join({
//       url: "/ws",
//       name: "alice",
//       onMessage: ({ from, text }) => console.log(`${from} > ${text}`),
//       onState: ({ phase, reason }) => console.log(phase, reason),
//     });
//     room.send("hello"); // false while there is no connection
//     room.leave();
//
// The wire: binary messages carry a stream of frames, which may be cut anywhere. A frame is a header
// of ten ASCII bytes, the length of the payload in bytes in decimal, padded with spaces, and then the
// payload. The first frame to the server is the name, and each further one is a message. The server
// sends two frames for each message: the name of its sender, and the message itself.

/** How many bytes a name or a message may have, unless an option says otherwise. */
export const defaultMaxMessage = 1 << 20;

const headerLength = 10;
const maxWaiting = 16 << 20; // bytes in the browser with which send refuses more
const shortLife = 1000; // milliseconds; the end of a connection that lasts longer counts as the first

/** The close codes after which connecting again can help. All others are decisions, as 1008 is: refused or kicked. */
const temporary = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015]);

const protocolErrorCode = 4002; // with which this end leaves when the server breaks the protocol

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // a BOM is a character like any other

/** What the other end sent is not the protocol. */
export class ProtocolError extends Error {}

/** Returns payload, bytes or a string, which becomes UTF-8, as one frame. */
export function encodeFrame(payload) {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const header = String(bytes.length).padEnd(headerLength);
  if (header.length > headerLength) {
    throw new RangeError(`a payload of ${bytes.length} bytes does not fit a frame`);
  }
  const frame = new Uint8Array(headerLength + bytes.length);
  encoder.encodeInto(header, frame);
  frame.set(bytes, headerLength);
  return frame;
}

/**
 * Returns the length that a header of ten bytes announces: ASCII digits with spaces,
 * tabs or line ends around them. It throws a ProtocolError at any other, and above limit.
 * @param {Uint8Array} header
 * @param {number} limit in bytes
 */
export function decodeHeader(header, limit) {
  const ascii = String.fromCharCode(...header); // a character for each byte
  const digits = /^[ \t\n\r]*([0-9]+)[ \t\n\r]*$/.exec(ascii);
  if (!digits) {
    throw new ProtocolError(`bad frame header ${JSON.stringify(ascii)}`);
  }
  const length = Number(digits[1]);
  if (length > limit) {
    throw new ProtocolError(`a frame of ${length} bytes, the limit is ${limit}`);
  }
  return length;
}

/**
 * Takes the frames out of a stream of bytes that may be cut anywhere. It holds one
 * unfinished frame at most, and no more memory for it than twice what has arrived.
 */
export class FrameReader {
  #limit;
  #onFrame;
  #buffer = new Uint8Array(256); // the beginning of a frame, up to #have
  #have = 0;
  #want = 0; // length of that frame with its header; 0 until the header is decoded
  #failed = null;

  /**
   * @param {number} limit the longest payload in bytes
   * @param {(payload: Uint8Array) => void} onFrame gets each payload, maybe as a part of
   *   the chunk that was written; it must not throw
   */
  constructor(limit, onFrame) {
    this.#limit = limit;
    this.#onFrame = onFrame;
  }

  /** Reads further bytes. It throws a ProtocolError at a bad header, and ever after. */
  write(chunk) {
    if (this.#failed) {
      throw this.#failed;
    }
    try {
      this.#read(chunk);
    } catch (err) {
      this.#failed = err;
      throw err;
    }
  }

  #read(chunk) {
    for (;;) {
      if (this.#have === 0) {
        chunk = this.#readWhole(chunk);
      }
      if (chunk.length === 0) {
        return;
      }
      const need = this.#want || headerLength;
      const missing = need - this.#have;
      this.#keep(chunk.subarray(0, missing));
      chunk = chunk.subarray(missing);
      if (this.#have < need) {
        return;
      }
      if (this.#want === 0) {
        this.#want = headerLength + decodeHeader(this.#buffer.subarray(0, headerLength), this.#limit);
      }
      if (this.#have === this.#want) {
        const payload = this.#buffer.slice(headerLength, this.#want);
        this.#have = this.#want = 0;
        this.#buffer = this.#buffer.length > 64 << 10 ? new Uint8Array(256) : this.#buffer;
        this.#onFrame(payload);
      }
    }
  }

  // Takes the frames that are whole in chunk, without a copy, and returns the rest.
  #readWhole(chunk) {
    while (chunk.length >= headerLength) {
      const end = headerLength + decodeHeader(chunk.subarray(0, headerLength), this.#limit);
      if (chunk.length < end) {
        break;
      }
      const payload = chunk.subarray(headerLength, end);
      chunk = chunk.subarray(end);
      this.#onFrame(payload);
    }
    return chunk;
  }

  #keep(bytes) {
    const kept = this.#buffer;
    if (this.#have + bytes.length > kept.length) {
      this.#buffer = new Uint8Array(Math.max(this.#have + bytes.length, 2 * kept.length));
      this.#buffer.set(kept.subarray(0, this.#have));
    }
    this.#buffer.set(bytes, this.#have);
    this.#have += bytes.length;
  }
}

/**
 * The default for when to connect again: after a random time below half a second at first, and below
 * twice as long after each further failure, up to 30 s, so that the members of a restarted server do
 * not all come back at the same moment. It gives up when the server has closed the connection for good.
 */
export function backOff(attempt, end) {
  if (!temporary.has(end.code)) {
    return null;
  }
  return Math.random() * Math.min(30_000, 500 * 2 ** Math.min(attempt - 1, 10));
}

/**
 * @typedef {object} Message
 * @property {string} from the sender's name
 * @property {string} text
 * @property {Uint8Array} body the text's bytes, which need not be UTF-8; copy them to keep them
 *
 * @typedef {object} State
 * @property {"connecting" | "joined" | "waiting" | "left"} phase it connects; the name is sent, which
 *   the protocol does not answer; it waits to connect again; it has left, until rejoin is called
 * @property {number} code the close code of the last connection, 0 before
 * @property {string} reason the server's reason for it, "" if it gave none
 * @property {number} attempt how many attempts to connect again there were in a row
 * @property {number} wait milliseconds until the next one, in phase "waiting"
 * @property {number} unsent how many of its last messages the browser had not sent; they are lost
 */

/** A place in a room, over one connection after another. Make one with join. */
class Room {
  #options;
  #socket = null;
  #openedAt = 0;
  #timer = 0;
  #written = 0; // bytes given to the socket
  #waiting = []; // for each message that may still be in the browser: the value of #written after it
  #state = { phase: "left", code: 0, reason: "", attempt: 0, wait: 0, unsent: 0 };

  constructor(options) {
    this.#options = options;
    this.#connect();
  }

  /** @returns {Readonly<State>} */
  get state() { return this.#state; }

  /**
   * Sends one message, a string or bytes, to everyone else in the room. Returns false, and
   * sends nothing, while there is no connection or 16 MiB wait to be sent; true says that
   * the browser has taken it. Throws a RangeError if it is longer than maxMessage.
   */
  send(body) {
    const frame = encodeFrame(body);
    const length = frame.length - headerLength;
    if (length > this.#options.maxMessage) {
      throw new RangeError(`a message of ${length} bytes, the limit is ${this.#options.maxMessage}`);
    }
    if (this.#state.phase !== "joined" || this.#socket.readyState !== 1 || this.#socket.bufferedAmount > maxWaiting) {
      return false;
    }
    this.#write(frame);
    this.#dropSent();
    this.#waiting.push(this.#written);
    return true;
  }

  /** Leaves for good. What send has taken is still sent. */
  leave() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    this.#set({ phase: "left", code: 1000, reason: "", attempt: 0, wait: 0, unsent: 0 });
  }

  /** Connects without waiting any longer, in the phases "waiting" and "left". */
  rejoin() {
    if (this.#state.phase === "waiting" || this.#state.phase === "left") {
      clearTimeout(this.#timer);
      this.#connect();
    }
  }

  #connect() {
    const { WebSocket, url, name, maxMessage } = this.#options;
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#written = 0;
    this.#waiting = [];
    let from = null; // the name that came, while its message has not
    const reader = new FrameReader(maxMessage, (payload) => {
      if (this.#socket !== socket) {
        return; // it has left
      }
      const text = decoder.decode(payload);
      if (from === null) {
        from = text;
        return;
      }
      const message = { from, text, body: payload };
      from = null;
      try {
        this.#options.onMessage(message);
      } catch (err) {
        queueMicrotask(() => { throw err; }); // it is reported, and costs no further message
      }
    });
    socket.onopen = () => {
      if (this.#socket === socket) {
        this.#openedAt = Date.now();
        this.#write(encodeFrame(name));
        this.#set({ ...this.#state, phase: "joined", wait: 0 });
      }
    };
    socket.onmessage = ({ data }) => {
      try {
        if (typeof data === "string") {
          throw new ProtocolError("a text message, binary ones are wanted");
        }
        reader.write(new Uint8Array(data));
      } catch (err) {
        socket.close(protocolErrorCode, err.message.slice(0, 40));
        this.#end(socket, protocolErrorCode, err.message);
      }
    };
    socket.onclose = ({ code, reason }) => this.#end(socket, code, reason);
    this.#set({ ...this.#state, phase: "connecting", wait: 0 });
  }

  #end(socket, code, reason) {
    if (this.#socket !== socket) {
      return;
    }
    this.#socket = null;
    this.#dropSent(socket);
    if (this.#openedAt !== 0 && Date.now() - this.#openedAt >= shortLife) {
      this.#state = { ...this.#state, attempt: 0 };
    }
    this.#openedAt = 0;
    const attempt = this.#state.attempt + 1;
    const unsent = this.#waiting.length;
    const wait = this.#options.reconnect(attempt, { code, reason });
    if (wait === null) {
      this.#set({ phase: "left", code, reason, attempt: 0, wait: 0, unsent });
    } else {
      this.#timer = setTimeout(() => this.#connect(), wait);
      this.#set({ phase: "waiting", code, reason, attempt, wait, unsent });
    }
  }

  #write(frame) {
    this.#socket.send(frame);
    this.#written += frame.length;
  }

  // Forgets the messages of which the browser has passed on the last byte.
  #dropSent(socket = this.#socket) {
    const sent = this.#written - socket.bufferedAmount;
    const first = this.#waiting.findIndex((end) => end > sent);
    this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
  }

  #set(state) {
    this.#state = Object.freeze(state);
    this.#options.onState(state);
  }
}

/**
 * Joins a room, and connects again whenever the connection is lost.
 *
 * onState is called before join returns, too. A browser that is not told that a
 * connection is dead does not notice before it sends something.
 * @param {object} options
 * @param {string | URL} options.url where the socket is, relative to the page
 * @param {string} options.name
 * @param {(message: Message) => void} [options.onMessage]
 * @param {(state: State) => void} [options.onState] is called whenever the state changes
 * @param {(attempt: number, end: {code: number, reason: string}) => number | null} [options.reconnect]
 *   says after how many milliseconds to connect again, null for never; backOff by default
 * @param {number} [options.maxMessage] in bytes, for both directions; 1 MiB by default, as the server's
 * @param {typeof WebSocket} [options.WebSocket] what connects; that of the browser by default
 * @returns {Room}
 */
export function join({
  url, name, onMessage = () => {}, onState = () => {}, reconnect = backOff,
  maxMessage = defaultMaxMessage, WebSocket = globalThis.WebSocket,
}) {
  const absolute = new URL(url, globalThis.document?.baseURI);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws"); // older browsers want it so
  absolute.hash = "";
  return new Room({ url: absolute.href, name, onMessage, onState, reconnect, maxMessage, WebSocket });
}

// visible.js shows what others send in a form that cannot deceive. Characters that are
// not seen, or change how the text around them is, become escapes such as \u202e. The
// page puts the result into text nodes only, so that it is never markup.

/** What is not seen, or changes how others are. chatroom.CheckName refuses the same in names. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}]/u;

/** What nobody knows how to show: unassigned, private or half a character. */
const unknown = /[\p{Cn}\p{Co}\p{Cs}]/u;

/** What may need a closer look; texts without any are shown as they are. */
const suspect = new RegExp(`${unseen.source}|${unknown.source}`, "u");

/** Blank characters that are neither spaces nor ignorable, and spaces that look like the usual one. */
const blank = /[\u2800\u{1d159}]|(?! )\p{Zs}/u;

/** What emoji are made of: symbols, colours of skin, and some more of emoji-data.txt. */
const emoji = /(?!\ufffd)[\p{So}\u{1f3fb}-\u{1f3ff}‼⁉ℹ↔◻◼◽◾⤴⤵〰]/u;

/** Scripts that are spelled with joiners. */
const joined = new RegExp(`[${["Arabic", "Syriac", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil",
  "Telugu", "Kannada", "Malayalam", "Sinhala", "Khmer"].map((s) => `\\p{Script=${s}}`).join("")}]`, "u");

const nonJoiner = "\u200c";
const joiner = "\u200d";
const emojiStyle = "\ufe0f";
const keycap = "\u20e3";

/** More combining marks in a row than this are shown as escapes in names. */
const maxMarks = 3;

/**
 * Returns a message's text as it may be shown. Lines and tabs stay, and so do joiners
 * where writing needs them.
 * @param {string} text
 */
export function visibleText(text) {
  text = text.replaceAll("\r\n", "\n");
  if (!suspect.test(text)) {
    return text;
  }
  return escape(text, (c, before, next) =>
    c !== "\n" && c !== "\t" && suspect.test(c) && !isInEmoji(c, before, next) && !isInWord(c, before));
}

/**
 * Returns a sender's name as it may be shown, in one line. Nothing in it is invisible,
 * so that names that differ look different.
 * @param {string} name
 */
export function visibleName(name) {
  let marks = 0;
  const shown = escape(name, (c, before, next) => {
    marks = /\p{M}/u.test(c) ? marks + 1 : 0;
    return marks > maxMarks || blank.test(c) || suspect.test(c) && !isInEmoji(c, before, next);
  });
  return shown.replace(/^ +| +$/g, (spaces) => "\\x20".repeat(spaces.length)) || '""';
}

/** Reports whether c, which is not seen, joins two emoji or has a character shown as one. */
function isInEmoji(c, before, next) {
  switch (c) {
    case joiner:
      return emoji.test(before) && emoji.test(next);
    case emojiStyle:
      return emoji.test(before) || next === keycap && /^[0-9#*]$/.test(before);
    default:
      return false;
  }
}

/** Reports whether c is a joiner after a character of a script that has them. */
function isInWord(c, before) {
  return (c === nonJoiner || c === joiner) && joined.test(before);
}

/**
 * Replaces characters of s by escapes. must is asked about each, with the last character
 * before it that is seen, "" if there is none, and the one after it.
 */
function escape(s, must) {
  const chars = Array.from(s);
  let before = "";
  for (const [i, c] of chars.entries()) {
    if (must(c, before, chars[i + 1] ?? "")) {
      chars[i] = escapeOf(c);
      before = "";
    } else if (c !== emojiStyle) {
      before = unseen.test(c) ? "" : c; // another joiner after a joiner joins nothing
    }
  }
  return chars.join("");
}

function escapeOf(c) {
  switch (c) {
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
  }
  const code = c.codePointAt(0);
  const hex = code.toString(16);
  return code < 0x80 ? `\\x${hex.padStart(2, "0")}` : code <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

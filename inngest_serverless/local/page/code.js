// JSON to read: indented, with its parts told apart by colour.

import { el, button } from "./dom.js";

const LONGEST = 60_000;
const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

/** A block with JSON, a title and a button that copies it. */
export function codeBlock(text, title) {
  const isLong = text.length > LONGEST;
  return el(
    "div",
    { class: "code" },
    el(
      "div",
      { class: "code-head" },
      el("h3", {}, title),
      isLong
        ? el(
            "span",
            { class: "quiet" },
            `the first ${LONGEST.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters`,
          )
        : null,
      button("copy", { class: "ghost", data: { copy: text } }, "Copy"),
    ),
    el("pre", { class: "json", tabindex: 0, "aria-label": title }, coloured(isLong ? text.slice(0, LONGEST) : text)),
  );
}

function coloured(text) {
  const parts = [];
  let done = 0;
  for (const match of text.matchAll(TOKENS)) {
    parts.push(text.slice(done, match.index));
    const [whole, string, colon, word] = match;
    const kind = string ? (colon ? "key" : "string") : word ? "word" : "number";
    if (colon) parts.push(el("span", { class: "json-key" }, string), colon);
    else parts.push(el("span", { class: `json-${kind}` }, whole));
    done = match.index + whole.length;
  }
  parts.push(text.slice(done));
  return parts;
}

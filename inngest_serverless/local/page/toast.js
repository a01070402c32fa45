// Short messages that go away by themselves, and are spoken by screen readers.

import { el } from "./dom.js";

const SHOWN_MS = 5000;

export function toast(text, kind = "", isQuiet = false) {
  const node = el("div", { class: `toast ${kind ? `is-${kind}` : ""} ${isQuiet ? "sr" : ""}` }, text);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), SHOWN_MS);
}

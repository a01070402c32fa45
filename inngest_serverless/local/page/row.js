// What is behind a row of a timeline: attempts, errors, the result.

import { el, button } from "./dom.js";
import { clock, duration } from "./format.js";
import { codeBlock } from "./code.js";
import { resultOf } from "./details.js";
import { address, known } from "./store.js";

/** The details of a row. */
export function rowDetails(run, row) {
  return [facts(run, row), attempts(run, row), failures(row), result(run, row)];
}

function facts(run, row) {
  const child = run.children[row.key];
  const open = row.bars.find((bar) => bar.kind === "wait" && bar.end_ms === null);
  const pairs = [
    row.detail ? ["asks for", row.detail] : null,
    row.condition ? ["if", row.condition] : null,
    open?.due_ms ? ["until", clock(open.due_ms, known.nowMs)] : null,
  ].filter(Boolean);
  return [
    pairs.length
      ? el(
          "dl",
          { class: "facts" },
          pairs.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
        )
      : null,
    el(
      "p",
      { class: "buttons" },
      child ? el("a", { class: "button", href: address("runs", child) }, "Open the invoked run") : null,
      open && row.kind === "event"
        ? button("send", { class: "button", data: { event: row.detail } }, `Send ${row.detail}…`)
        : null,
      open && row.kind === "signal"
        ? button("send", { class: "button", data: { signal: row.detail } }, `Send the signal ${row.detail}…`)
        : null,
    ),
  ];
}

function attempts(run, row) {
  const calls = row.bars.filter((bar) => bar.kind === "call");
  if (calls.length < 2 && !calls.some((bar) => bar.error)) return null;
  const start = run.started_ms ?? run.queued_ms;
  const next = row.bars.find((bar) => bar.kind === "retry" && bar.end_ms === null);
  return el(
    "table",
    { class: "table" },
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        ["call", "attempt", "after", "took", "result"].map((name) => el("th", { scope: "col" }, name)),
      ),
    ),
    el(
      "tbody",
      {},
      calls.map((bar, index) =>
        el(
          "tr",
          {},
          el("td", { class: "num" }, index + 1),
          el("td", { class: "num" }, `${bar.attempt + 1} of ${run.max_attempts}`),
          el("td", { class: "num" }, duration(Math.max(bar.start_ms - start, 0))),
          el("td", { class: "num" }, bar.end_ms === null ? "" : duration(bar.end_ms - bar.start_ms)),
          el("td", { class: bar.error ? "is-error" : "" }, outcome(bar)),
        ),
      ),
      next
        ? el(
            "tr",
            {},
            el("td", { colspan: 5 }, next.due_ms ? `tries again at ${clock(next.due_ms, known.nowMs)}` : "tries again"),
          )
        : null,
    ),
  );
}

function outcome(bar) {
  if (bar.status === "open") return "under way";
  return bar.error ? bar.error.name : "ok";
}

/** What the attempts raised, with where; the same error of several attempts once. */
function failures(row) {
  const seen = new Map();
  for (const bar of row.bars)
    if (bar.error) seen.set(JSON.stringify([bar.error.name, bar.error.message, bar.error.stack]), bar.error);
  return [...seen.values()].map((error) => errorBlock(error));
}

function result(run, row) {
  if (!row.key || !row.has_memo) return null;
  const found = resultOf(run.id, row.key);
  if (found === undefined) return el("p", { class: "quiet" }, "Loading…");
  if (found.is_error) return null; // shown with the attempt that raised it
  if (found.text !== null) return codeBlock(found.text, row.kind === "event" ? "Event" : "Result");
  return el("p", { class: "quiet" }, row.kind === "sleep" ? "It is over." : "No result: it timed out.");
}

/** An error with its stack. */
export function errorBlock(error) {
  return el(
    "div",
    { class: "error-block" },
    el(
      "p",
      { class: "error-title" },
      el("strong", {}, error.name ?? "Error"),
      error.message ? `: ${error.message}` : "",
    ),
    error.stack ? el("pre", { class: "stack", tabindex: 0, "aria-label": "Stack" }, error.stack) : null,
  );
}
